import { type Plugin, defineConfig } from "vite";

const GALLERY = "gallery.html";

/**
 * What is built is committed and compared byte by byte: names come from content, and nothing of the machine gets in.
 *
 * The page is built first; then the gallery that `make demo` fills, one file with everything in it, as it is opened
 * without a server, where a browser loads no module.
 */
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
  environments: {
    client: {},
    gallery: {
      consumer: "client",
      build: { emptyOutDir: false, assetsInlineLimit: 100_000, rollupOptions: { input: GALLERY } },
    },
  },
  builder: {
    async buildApp(builder) {
      for (const name of ["client", "gallery"]) {
        const environment = builder.environments[name];
        if (environment) await builder.build(environment);
      }
    },
  },
  plugins: [inOneFile()],
  // For work on the page: `npm run dev` beside a `make serve`.
  server: { proxy: { "/api": "http://127.0.0.1:8000", "/openapi.json": "http://127.0.0.1:8000" } },
});

/** The gallery's script and style go into it. */
function inOneFile(): Plugin {
  return {
    name: "in-one-file",
    enforce: "post",
    applyToEnvironment: (environment) => environment.name === "gallery",
    generateBundle(_, bundle) {
      const page = bundle[GALLERY];
      if (page?.type !== "asset") throw new Error(`${GALLERY} is not built`);
      let html = String(page.source);
      for (const [name, file] of Object.entries(bundle)) {
        if (file === page) continue;
        const text = file.type === "chunk" ? file.code : String(file.source);
        const tag = file.type === "chunk" ? /<script type="module"[^>]* src="[^"]*"><\/script>/ : /<link rel="stylesheet"[^>]*>/;
        if (!tag.test(html)) throw new Error(`${name} has no place in ${GALLERY}`);
        const inlined = file.type === "chunk" ? `<script type="module">${text.replaceAll("</script", "<\\/script")}</script>` : `<style>${text}</style>`;
        html = html.replace(tag, () => inlined);
        delete bundle[name];
      }
      page.source = html;
    },
  };
}
