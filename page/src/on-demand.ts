/** All that not everybody needs: one file, fetched when the first of it is opened. What else is here comes with the page. */

import "./on-demand.css";

export { severalBody } from "./edit/several";
export { EditAccountList } from "./parts/edit-accounts";
export { EditList, added } from "./parts/edit-list";
export { LoraPanel } from "./parts/lora-panel";
export { SettingFields } from "./parts/setting-fields";
