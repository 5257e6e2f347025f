/** All that not everybody needs: one file, fetched when the first of it is opened. What else is here comes with the page. */

import "./on-demand.css";

export { severalBody } from "./edit/several";
export { takeClip } from "./edit/clip";
export { takeViews, viewsBody } from "./edit/views";
export { EditAccountList } from "./parts/edit-accounts";
export { EditList, added } from "./parts/edit-list";
export { KeyDialog } from "./parts/key-dialog";
export { LoraPanel } from "./parts/lora-panel";
export { Photographs } from "./parts/photographs";
export { SettingFields } from "./parts/setting-fields";
export { ViewsResult } from "./parts/views-result";
export { openOther } from "./runs/elsewhere";
