import { useState } from "preact/hooks";

import { imagesIn } from "../edit/photo";
import { type Place, takeAll } from "../edit/taking";

/** Handlers of a place that images can be dropped on, and whether one hovers over it. */
export function useDropping(as: Place) {
  const [hovering, hover] = useState(false);
  return {
    "data-hovering": hovering || undefined,
    onDragOver: (event: DragEvent) => {
      event.preventDefault();
      hover(true);
    },
    onDragLeave: () => hover(false),
    onDrop: (event: DragEvent) => {
      event.preventDefault();
      hover(false);
      void takeAll(imagesIn(event.dataTransfer), as);
    },
  };
}
