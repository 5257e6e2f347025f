import { changeMask, draft, isSelected, ownMask, takePhoto } from "../edit/draft";
import { redo, undo } from "../mask/history";
import { type Tool, breadth, emptyMask, isBrush, leaveItToTheService, maskShown, tool, tools } from "../mask/tools";
import { FileButton } from "./file-button";
import { Icon, type IconName } from "./icon";

const NAMES: Record<Tool, { icon: IconName; name: string; hint: string }> = {
  brush: { icon: "brush", name: "Brush", hint: "Paint what should change." },
  eraser: { icon: "eraser", name: "Eraser", hint: "Rub out what should stay." },
  click: { icon: "click", name: "Click", hint: "Click a thing: its outline is found. With Alt: not this." },
  box: { icon: "box", name: "Box", hint: "Draw a box around a thing." },
};

/** The tools for the mask, and the way to another photo. */
export function Tools() {
  const { mask } = draft.value;
  return (
    <div class="tools" role="group" aria-label="Mask tools">
      <div class="group" role="radiogroup" aria-label="Tool">
        {tools.value.map((one) => (
          <label key={one} class="tool" title={NAMES[one].hint}>
            <input type="radio" name="tool" checked={tool.value === one} onChange={() => (tool.value = one)} />
            <Icon name={NAMES[one].icon} />
            <span>{NAMES[one].name}</span>
          </label>
        ))}
      </div>
      <label class="breadth" data-off={!isBrush.value || undefined}>
        <span>Size</span>
        <input type="range" min={1} max={30} value={breadth} disabled={!isBrush.value} aria-valuetext={`${breadth.value} percent of the photo`}
          onInput={(event) => (breadth.value = event.currentTarget.valueAsNumber)} />
      </label>
      <div class="group">
        <Act icon="undo" name="Undo" off={mask.done.length === 0} act={() => changeMask(undo(mask))} />
        <Act icon="redo" name="Redo" off={mask.undone.length === 0} act={() => changeMask(redo(mask))} />
        <Act icon="clear" name="Clear the mask" off={mask.done.at(-1)?.kind === "empty"} act={emptyMask} />
        <Act icon="magic" name="Find it automatically" off={!ownMask.value && !isSelected.value} act={leaveItToTheService} />
        <button type="button" class="icon-only" aria-pressed={maskShown.value} title="Show the mask" aria-label="Show the mask" onClick={() => (maskShown.value = !maskShown.value)}>
          <Icon name="eye" />
        </button>
      </div>
      <div class="group last">
        <FileButton as="photo" look="button small">Other photo</FileButton>
        <button type="button" class="icon-only" aria-label="Remove the photo" title="Remove the photo" onClick={() => takePhoto(null)}><Icon name="close" /></button>
      </div>
    </div>
  );
}

function Act({ icon, name, off, act }: { icon: IconName; name: string; off: boolean; act: () => void }) {
  return (
    <button type="button" class="icon-only" aria-label={name} title={name} disabled={off} onClick={act}>
      <Icon name={icon} />
    </button>
  );
}
