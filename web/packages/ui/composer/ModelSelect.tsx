/** Which model answers: a button in the composer that opens a list, beside it or, on a phone, as a sheet. */
import type { Model } from "@client/types";
import { AUTOMATIC, type Choice, choiceIn } from "@core/models/models";
import { modelName } from "@core/models/names";
import { ChevronDown, CircleAlert, Cpu, X } from "lucide-react";
import { type ReactNode, useCallback, useId, useLayoutEffect, useRef, useState } from "react";
import { useApp, useStore, useWhole, useWords } from "../context";
import { PHONE, useMedia, usePressOutside } from "../hooks";
import { useNames } from "../names";
import { IconButton } from "../parts/IconButton";
import { placeOutside } from "../parts/place";
import { ModelList } from "./ModelList";

/** Nothing at all where there is nothing to choose. */
export function ModelSelect({ sessionId }: { sessionId: string | null }) {
  const t = useWords();
  const { models, sessions } = useApp();
  const state = useWhole(models.store);
  const made = useStore(sessions.store, ({ known }) => (sessionId ? known[sessionId]?.model : null)) ?? null;
  const choice = choiceIn(state, sessionId, made);
  if (!choice) return null;
  return (
    <>
      <Select
        choice={choice}
        items={state.items}
        onOpen={() => void models.refresh()}
        onChoose={(id) => models.choose(sessionId, id)}
      />
      {choice.gone && (
        <p className="composer-note" role="status">
          {t("model.gone", { name: modelName(state.items, choice.gone) })}
        </p>
      )}
    </>
  );
}

interface Props {
  choice: Choice;
  items: readonly Model[];
  onOpen(): void;
  onChoose(id: string): void;
}

function Select({ choice, items, onOpen, onChoose }: Props) {
  const t = useWords();
  const names = useNames();
  const phone = useMedia(PHONE);
  const [open, setOpen] = useState(false);
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const wrap = useRef<HTMLDivElement>(null);
  const { model } = choice;
  const name = model.id === AUTOMATIC ? t("model.automatic") : names.listed(model);
  const returning = useRef(false);
  const close = useCallback((refocus: boolean) => {
    returning.current = refocus;
    setOpen(false);
  }, []);
  // Behind a sheet nothing can take the focus, so it goes back when the sheet has gone.
  useLayoutEffect(() => {
    if (open || !returning.current) return;
    returning.current = false;
    button.current?.focus();
  }, [open]);
  usePressOutside(wrap, open && !phone, () => close(false));
  const show = () => {
    setOpen(true);
    onOpen();
  };
  const list = (
    <ModelList
      id={id}
      items={items}
      chosen={model.id}
      onChoose={(chosen) => {
        onChoose(chosen);
        close(true);
      }}
      onLeave={() => close(true)}
    />
  );
  return (
    <div className="model-select" ref={wrap}>
      <button
        ref={button}
        type="button"
        className="model-button"
        aria-label={[t("model.label", { name }), model.available ? "" : t("model.away")]
          .filter(Boolean)
          .join(". ")}
        aria-haspopup="listbox"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        onClick={() => (open ? close(true) : show())}
        onKeyDown={(event) => {
          if (open || (event.key !== "ArrowDown" && event.key !== "ArrowUp")) return;
          event.preventDefault();
          show();
        }}
      >
        <Cpu className="model-icon" size={18} strokeWidth={1.75} />
        <span className="model-name" dir="auto">
          {name}
        </span>
        {model.available ? (
          <ChevronDown className="model-chevron" size={14} strokeWidth={1.75} />
        ) : (
          <CircleAlert className="model-away" size={14} strokeWidth={1.75} />
        )}
      </button>
      {open &&
        (phone ? <Sheet onClose={close}>{list}</Sheet> : <Popover button={button.current}>{list}</Popover>)}
    </div>
  );
}

function Popover({ button, children }: { button: HTMLElement | null; children: ReactNode }) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (!box.current || !button) return;
    box.current.showPopover?.();
    placeOutside(box.current, button, button.closest("form") ?? button);
  }, [button]);
  return (
    <div ref={box} popover="manual" className="menu model-menu">
      {children}
    </div>
  );
}

function Sheet({ onClose, children }: { onClose(refocus: boolean): void; children: ReactNode }) {
  const t = useWords();
  const dialog = useRef<HTMLDialogElement>(null);
  const title = useId();
  useLayoutEffect(() => {
    dialog.current?.showModal?.();
  }, []);
  return (
    <dialog
      ref={dialog}
      className="sheet"
      aria-labelledby={title}
      onClose={() => onClose(true)}
      onKeyDown={(event) => event.key === "Escape" && event.stopPropagation()}
      onClick={(event) => event.target === event.currentTarget && event.currentTarget.close()}
    >
      <div className="sheet-body">
        <div className="sheet-head">
          <h2 className="sheet-title" id={title}>
            {t("model.choose")}
          </h2>
          <IconButton label={t("model.close")} onClick={() => dialog.current?.close()}>
            <X size={18} strokeWidth={1.75} />
          </IconButton>
        </div>
        {children}
      </div>
    </dialog>
  );
}
