/** The first thing a visitor sees: a greeting, the composer, four things to ask, and what the answers rest on. */
import type { Conversation } from "@core/chat/conversation";
import { dayPart } from "@core/days";
import { connected } from "@core/models/models";
import { CornerDownRight } from "lucide-react";
import { useApp, useStore, useWhole, useWords } from "../context";
import { Lamp } from "../parts/Lamp";
import { Composer } from "./Composer";

/** What only helps whoever has no language model yet. */
const TO_BEGIN_WITH = "Connect a model";

export function Welcome({ conversation }: { conversation: Conversation }) {
  const t = useWords();
  const app = useApp();
  const { assistants, person, unreachable } = useWhole(app.shell);
  const assistant = assistants[0];
  const suggestions = useStore(app.models.store, ({ items }) => connected(items))
    ? assistant?.suggestions.filter(({ title }) => title !== TO_BEGIN_WITH)
    : assistant?.suggestions;
  const send = (text: string) => app.say(conversation.uid, text);
  const greeting = t(`welcome.${dayPart(new Date().getHours())}`);
  const name = person?.displayName?.trim().split(/\s+/)[0];
  return (
    <div className="scroller welcome-scroller">
      <div className="welcome">
        <h1 className="greeting">
          <Lamp size={36} />
          <span dir="auto">{name ? t("welcome.named", { greeting, name }) : greeting}</span>
        </h1>
        <Composer
          key={conversation.uid}
          sessionId={null}
          live={false}
          roomy
          placeholder={assistant?.greeting ?? t("composer.first")}
          onSend={send}
        />
        {unreachable && (
          <p className="blank-words" role="status">
            {t("welcome.unreachable")}
          </p>
        )}
        {suggestions && suggestions.length > 0 && (
          <ul className="suggestions" aria-label={t("welcome.suggestions")}>
            {suggestions.slice(0, 4).map((suggestion) => (
              <li key={suggestion.title}>
                <button type="button" className="suggestion" onClick={() => send(suggestion.text)}>
                  <CornerDownRight size={18} strokeWidth={1.75} />
                  <span>
                    <strong dir="auto">{suggestion.title}</strong>
                    <span dir="auto">{suggestion.text}</span>
                  </span>
                </button>
              </li>
            ))}
          </ul>
        )}
      </div>
      <p className="rests-on" dir="auto">
        {assistant?.restsOn}
      </p>
    </div>
  );
}
