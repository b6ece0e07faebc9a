/**
 * The models as a listbox: one stop for Tab, arrows, Home, End and first letters move, Enter and Space choose.
 * They stand under who offers them. What can't be had stays in the list with its reason, and can be reached but
 * not chosen.
 */
import type { Model } from "@client/types";
import { AUTOMATIC, BUILTIN } from "@core/models/models";
import { Check } from "lucide-react";
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from "react";
import { useWords } from "../context";
import { useEdges } from "../hooks";
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

export function ModelList({ id, items: listed, chosen, onChoose, onLeave }: Props) {
  const t = useWords();
  const names = useNames();
  const groups = useGroups(listed);
  const items = useMemo(() => groups.flatMap(({ models }) => models), [groups]);
  const [active, setActive] = useState(chosen);
  const list = useRef<HTMLDivElement>(null);
  const typed = useRef({ word: "", at: 0 });
  const at = Math.max(
    0,
    items.findIndex((model) => model.id === active),
  );
  const optionId = (index: number) => `${id}-${index}`;
  const edges = useEdges(list);
  useEffect(() => list.current?.focus(), []);
  useEffect(() => {
    // The first one brings what stands above it along.
    if (at === 0) list.current?.scrollTo?.({ top: 0 });
    else document.getElementById(`${id}-${at}`)?.scrollIntoView?.({ block: "nearest" });
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
  const option = (model: Model) => {
    const index = items.indexOf(model);
    return (
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
    );
  };
  return (
    <div className="model-scroll" data-edges={edges}>
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
        {groups.map(({ label, models }, index) =>
          label === null ? (
            models.map(option)
          ) : (
            // biome-ignore lint/a11y/useSemanticElements: no fieldset may stand in a listbox
            <div key={label} role="group" aria-labelledby={`${id}-of-${index}`} className="model-group">
              <div id={`${id}-of-${index}`} role="presentation" className="menu-heading">
                <bdi>{label}</bdi>
              </div>
              {models.map(option)}
            </div>
          ),
        )}
      </div>
    </div>
  );
}

interface Group {
  /** Null for the choice that is left to the server. */
  label: string | null;
  models: Model[];
}

/** The models by who offers them, each named once, in the order of the list. */
function useGroups(items: readonly Model[]): readonly Group[] {
  const t = useWords();
  const names = useNames();
  return useMemo(() => {
    const groups = new Map<string | null, Group>();
    for (const model of items) {
      const label = labelOf(model);
      const group = groups.get(label) ?? { label, models: [] };
      group.models.push(model);
      groups.set(label, group);
    }
    return [...groups.values()];
    function labelOf({ id, provider }: Model): string | null {
      if (id === AUTOMATIC || provider === null) return null;
      return provider === BUILTIN ? t("model.documents") : names.provider(provider);
    }
  }, [items, names, t]);
}

function Words({ model }: { model: Model }) {
  const t = useWords();
  const names = useNames();
  const plain = model.id === AUTOMATIC && "model.automaticNote";
  const does = plain || (model.provider === BUILTIN && "model.answererNote");
  const note = model.note ?? (model.available ? null : t("model.away"));
  const line = [does && t(does), note].filter(Boolean).join(" · ");
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
