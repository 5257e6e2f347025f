import { abilities } from "../api/service";
import { takingError } from "../edit/taking";
import { useDropping } from "./dropping";
import { FileButton } from "./file-button";
import { Examples } from "./examples";
import { Icon } from "./icon";
import { Trouble } from "./trouble";

/** The empty stage: a place for a photo. */
export function Start() {
  return (
    <div class="stage start" {...useDropping("photo")}>
      <Icon name="image" />
      <h2>Drop a photo here</h2>
      <p>or paste one, or</p>
      <FileButton as="photo" look="button primary">Choose a photo</FileButton>
      <p class={abilities.value.views > 1 ? "quiet" : "quiet away"}>Several photos of one thing are edited alike.</p>
      <Trouble error={takingError.value} />
      <Examples />
    </div>
  );
}
