const PATHS = {
  brush: "M4 20c2.5 0 5-1 5-4a3 3 0 0 1 3-3M11 13l7.5-8.5a1.8 1.8 0 0 1 2.6 2.6L13 15",
  eraser: "M8 20h12M5.5 14.5l8-8a2 2 0 0 1 2.8 0l3.2 3.2a2 2 0 0 1 0 2.8L12 20H9l-3.5-3.5a1.4 1.4 0 0 1 0-2z",
  click: "M9 9l10 4-4.5 1.5L13 19zM5 5l1.5 1.5M4 10h2M10 4v2",
  box: "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4",
  undo: "M9 14L4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3",
  redo: "M15 14l5-5-5-5M20 9H10a6 6 0 0 0 0 12h3",
  clear: "M5 7h14M10 11v6M14 11v6M6 7l1 13h10l1-13M9 7V4h6v3",
  magic: "M5 19L16 8M14 6l4 4M6 5v3M4.500 6.500h3M19 15v3M17.500 16.500h3",
  eye: "M2.500 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12zM12 9.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5z",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.500 9.500h.01",
  download: "M12 4v11M7.500 11l4.500 4.500 4.500-4.500M5 20h14",
  again: "M20 11a8 8 0 1 0-2 6M20 5v6h-6",
  close: "M6 6l12 12M18 6L6 18",
  split: "M12 3v18M4 7h5v10H4zM15 7h5v10h-5",
  plus: "M12 5v14M5 12h14",
} as const;

export type IconName = keyof typeof PATHS;

/** Drawn for the eye alone: what it stands for is said in words; where they are seen `beside` it, a phone does without. */
export function Icon({ name, beside }: { name: IconName; beside?: boolean }) {
  return (
    <svg class={beside ? "icon icon-beside" : "icon"} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
