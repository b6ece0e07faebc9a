/** Conversations by the day of their last word, as a reader counts days: by the local calendar. */
import type { Session } from "@client/types";

export type Day = "today" | "yesterday" | "lastWeek" | "earlier";

export interface DayGroup {
  day: Day;
  sessions: readonly Session[];
}

export function byDay(sessions: readonly Session[], now: Date): DayGroup[] {
  const groups: { day: Day; sessions: Session[] }[] = [];
  for (const session of sessions) {
    const day = dayOf(new Date(session.lastActiveAt), now);
    const last = groups.at(-1);
    if (last?.day === day) last.sessions.push(session);
    else groups.push({ day, sessions: [session] });
  }
  return groups;
}

function dayOf(then: Date, now: Date): Day {
  const days = Math.round((startOfDay(now) - startOfDay(then)) / 86_400_000);
  if (days <= 0) return "today";
  if (days === 1) return "yesterday";
  return days <= 7 ? "lastWeek" : "earlier";
}

function startOfDay(date: Date): number {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

export type DayPart = "night" | "morning" | "afternoon" | "evening";

export function dayPart(hour: number): DayPart {
  if (hour < 5) return "night";
  if (hour < 12) return "morning";
  return hour < 18 ? "afternoon" : "evening";
}
