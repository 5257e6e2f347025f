import { defineConfig } from "vite";

// What is built is committed and compared byte by byte: names come from content, and nothing of the machine gets in.
export default defineConfig({
  base: "/page/",
  publicDir: false,
  build: {
    outDir: "built",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    target: "es2022",
    reportCompressedSize: false,
  },
  // For work on the page: `npm run dev` beside a `make serve`.
  server: { proxy: { "/api": "http://127.0.0.1:8000", "/openapi.json": "http://127.0.0.1:8000" } },
});
