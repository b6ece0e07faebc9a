/**
 * The models as a listbox: one stop for Tab, arrows, Home, End and first letters move, Enter and Space choose.
 * What can't be had stays in the list with its reason, and can be reached but not chosen.
 */
import type { Model } from "@client/types";
import { BUILTIN } from "@core/models/models";
import { Check } from "lucide-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useWords } from "../context";
import { useNames } from "../names";

/** Letters typed within this time are one word. */
const WORD_MS = 600;

interface Props {
  id: string;
  items: readonly Model[];
  chosen: string;
  onChoose(id: string): void;
  onLeave(): void;
}

export function ModelList({ id, items, chosen, onChoose, onLeave }: Props) {
  const t = useWords();
  const names = useNames();
  const [active, setActive] = useState(chosen);
  const list = useRef<HTMLDivElement>(null);
  const typed = useRef({ word: "", at: 0 });
  const at = Math.max(
    0,
    items.findIndex((model) => model.id === active),
  );
  const optionId = (index: number) => `${id}-${index}`;
  useEffect(() => list.current?.focus(), []);
  useEffect(() => {
    document.getElementById(`${id}-${at}`)?.scrollIntoView?.({ block: "nearest" });
  }, [id, at]);
  const move = (index: number) => setActive(items[(index + items.length) % items.length]?.id ?? chosen);
  const choose = (model: Model | undefined) => model?.available && onChoose(model.id);
  const search = (letter: string, now: number) => {
    const word = now - typed.current.at < WORD_MS ? typed.current.word + letter : letter;
    typed.current = { word, at: now };
    // One letter again and again walks through what begins with it.
    const from = word.length === 1 ? at + 1 : at;
    const order = [...items.slice(from), ...items.slice(0, from)];
    const found = order.find((model) => names.listed(model).toLowerCase().startsWith(word.toLowerCase()));
    if (found) setActive(found.id);
  };
  const pressed = (event: KeyboardEvent) => {
    const acts: Record<string, () => void> = {
      ArrowDown: () => move(at + 1),
      ArrowUp: () => move(at - 1),
      Home: () => move(0),
      End: () => move(-1),
      Enter: () => choose(items[at]),
      " ": () => choose(items[at]),
      Escape: onLeave,
      Tab: onLeave,
    };
    const letter = event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey;
    const act = acts[event.key] ?? (letter ? () => search(event.key, event.timeStamp) : null);
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  };
  return (
    <div
      ref={list}
      id={id}
      role="listbox"
      aria-label={t("model.choose")}
      aria-activedescendant={optionId(at)}
      tabIndex={0}
      className="model-list"
      onKeyDown={pressed}
    >
      {items.map((model, index) => (
        // biome-ignore lint/a11y/useKeyWithClickEvents: the listbox has the keys, as its pattern asks
        <div
          key={model.id}
          id={optionId(index)}
          role="option"
          tabIndex={-1}
          aria-selected={model.id === chosen}
          aria-disabled={!model.available}
          data-active={index === at || undefined}
          className="model-option"
          onPointerMove={() => setActive(model.id)}
          onClick={() => choose(model)}
        >
          <Words model={model} />
          {model.id === chosen && <Check size={16} strokeWidth={1.75} aria-hidden="true" />}
        </div>
      ))}
    </div>
  );
}

function Words({ model }: { model: Model }) {
  const t = useWords();
  const names = useNames();
  const builtin = model.provider === BUILTIN;
  const from = builtin ? t("model.answererNote") : model.provider && names.provider(model.provider);
  const note = model.note ?? (model.available ? null : t("model.away"));
  const line = [from, note].filter(Boolean).join(" · ");
  return (
    <span className="model-words">
      <span>
        <bdi>{names.listed(model)}</bdi>
      </span>
      {line && (
        <small>
          <bdi>{line}</bdi>
        </small>
      )}
    </span>
  );
}
