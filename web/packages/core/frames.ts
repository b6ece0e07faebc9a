/** When the page draws what arrived: with the next frame, and less often where drawing is dear. */
import type { Schedule } from "./chat/runs";

/** Beyond this a drawing is felt: two of them leave nothing of a 60th of a second. */
const CHEAP_MS = 12;
const HIDDEN_MS = 200;

/**
 * After a dear drawing the page rests as long as it took, so at least half of the time belongs to the reader's
 * own scrolling and typing, however long a paragraph grows.
 */
export function frames(window: Window): Schedule {
  let restUntil = 0;
  const now = () => window.performance.now();
  const draw = (work: () => void) =>
    window.requestAnimationFrame(() => {
      const begun = now();
      work();
      // A timer runs after layout and paint, so it sees what the drawing really cost.
      window.setTimeout(() => {
        const cost = now() - begun;
        restUntil = cost > CHEAP_MS ? now() + cost : 0;
      });
    });
  return (work) => {
    const rest = restUntil - now();
    // Frames stop in a hidden page, so there a timer does their work.
    if (window.document.hidden) window.setTimeout(work, HIDDEN_MS);
    else if (rest > 0) window.setTimeout(() => draw(work), rest);
    else draw(work);
  };
}
