/** The mark: one lamp. It breathes while an answer is on its way and is otherwise still. */
export function Lamp({ size = 18, breathing = false }: { size?: number; breathing?: boolean }) {
  return (
    <svg
      className={breathing ? "lamp breathing" : "lamp"}
      width={size}
      height={size}
      viewBox="0 0 24 24"
      aria-hidden="true"
      focusable="false"
    >
      <path
        fill="currentColor"
        d="M8.2 3.5h7.6a1 1 0 0 1 .95.68l2.6 7.5a1 1 0 0 1-.95 1.32H5.6a1 1 0 0 1-.95-1.32l2.6-7.5a1 1 0 0 1 .95-.68Z"
      />
      <path
        fill="none"
        stroke="currentColor"
        strokeWidth="1.9"
        strokeLinecap="round"
        d="M12 13v7.2M8 20.5h8"
      />
    </svg>
  );
}
