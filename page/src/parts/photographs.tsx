import { abilities } from "../api/service";
import { draft } from "../edit/draft";
import type { Photo } from "../edit/photo";
import { takingError } from "../edit/taking";
import { photographsOf, removePhotograph } from "../edit/views";
import { Clip } from "./clips";
import { useDropping } from "./dropping";
import { FileButton } from "./file-button";
import { Icon } from "./icon";
import { useObjectUrl } from "./object-url";
import { Trouble } from "./trouble";

/** Several photographs of one thing, side by side, or a clip. */
export function Photographs() {
  const [clip] = draft.value.views;
  return clip?.clip ? <Clip clip={clip} /> : <SideBySide />;
}

function SideBySide() {
  const photos = photographsOf(draft.value);
  return (
    <>
      <div class="tools" role="group" aria-label="Photographs">
        <p><strong>{photos.length} photographs of one thing:</strong> one edit, one look</p>
        <div class="group last">
          {photos.length < abilities.value.views && <FileButton as="view" look="button small"><Icon name="plus" /> Add photos</FileButton>}
        </div>
      </div>
      <div class="stage" {...useDropping("view")}>
        <ol class="candidates views" style={{ "--columns": columnsOf(photos.length) }} aria-label="Photographs">
          {photos.map((photo, index) => <li key={photo.blob}><Tile photo={photo} number={index + 1} /></li>)}
        </ol>
      </div>
      <div class="under">
        <p class="quiet">The thing is found in each photograph; what will happen is told of the first. Masks, clicks and candidates are for a single photo.</p>
        <Trouble error={takingError.value} />
      </div>
    </>
  );
}

function Tile({ photo, number }: { photo: Photo; number: number }) {
  const url = useObjectUrl(photo.blob);
  const name = `Remove photograph ${number}`;
  return (
    <figure class="view">
      <img src={url} alt={`Photograph ${number}, ${photo.width} by ${photo.height} pixels`} />
      <figcaption>Photograph {number} <span class="quiet">{photo.name}</span></figcaption>
      <button type="button" class="icon-only" aria-label={name} title={name} onClick={() => removePhotograph(number - 1)}><Icon name="close" /></button>
    </figure>
  );
}

/** Of a wide stage: two rows. */
export const columnsOf = (count: number) => Math.max(2, Math.ceil(count / 2));
