/** Who is speaking, and what they may set. */
import type { Theme } from "@core/theme";
import { Archive, Monitor, Moon, Settings, Sun } from "lucide-react";
import { useApp, useStore, useWhole, useWords } from "../context";
import { Menu } from "../parts/Menu";

const THEMES: readonly [Theme, typeof Sun][] = [
  ["light", Sun],
  ["dark", Moon],
  ["system", Monitor],
];

export function PersonMenu() {
  const t = useWords();
  const app = useApp();
  const person = useStore(app.shell, (shell) => shell.person);
  const theme = useWhole(app.theme.store);
  const name =
    person?.displayName ||
    (person && person.role !== "visitor" ? roleName(person.role) : t("person.visitor"));
  const items = [
    ...THEMES.map(([choice, Icon]) => ({
      label: t(`theme.${choice}`),
      icon: <Icon size={16} strokeWidth={1.75} />,
      checked: theme === choice,
      act: () => app.theme.choose(choice),
    })),
    {
      label: t("sidebar.archived"),
      apart: true,
      icon: <Archive size={16} strokeWidth={1.75} />,
      act: () => app.sessions.showArchived(true),
    },
  ];
  return (
    <div className="person">
      <span className="avatar" aria-hidden="true">
        {initials(name)}
      </span>
      <span className="person-name" dir="auto">
        {name}
      </span>
      <Menu label={t("person.menu")} heading={t("theme.label")} items={items}>
        <Settings size={18} strokeWidth={1.75} />
      </Menu>
    </div>
  );
}

function roleName(role: string): string {
  return role.charAt(0).toUpperCase() + role.slice(1);
}

function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map(
    (word) => [...(word ?? "")][0] ?? "",
  );
  return letters.join("").toUpperCase();
}
