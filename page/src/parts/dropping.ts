import { useState } from "preact/hooks";

import { imagesIn } from "../edit/photo";
import { take } from "../edit/taking";

/** Handlers of a place that images can be dropped on, and whether one hovers over it. */
export function useDropping(as: "photo" | "reference") {
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
      const [image] = imagesIn(event.dataTransfer);
      if (image) void take(image, as);
    },
  };
}
