import { expect, test } from "vitest";

import { NO_ABILITIES, abilitiesOf, differing } from "../src/api/settings";

const DOCUMENT = {
  components: {
    schemas: {
      Speed: { type: "string", enum: ["normal", "fast"] },
      GenerateRequest: {
        properties: {
          n: { type: "integer", minimum: 1, maximum: 8 },
          edits: { anyOf: [{ type: "array", items: { $ref: "#/components/schemas/RegionEdit" }, maxItems: 16 }, { type: "null" }] },
        },
      },
      ViewsRequest: { properties: { base_images: { type: "array", minItems: 2, maxItems: 8 } } },
      RegionEdit: { properties: { prompt: { type: "string" }, strength: { anyOf: [{ type: "number" }, { type: "null" }] } } },
      GenerateConfig: {
        properties: {
          speed: { $ref: "#/components/schemas/Speed", description: "fast takes few steps.", default: "normal" },
          num_inference_steps: { type: "integer", minimum: 1, maximum: 100, default: 25, description: "Denoising steps." },
          strength: { anyOf: [{ type: "number", minimum: 0.1, maximum: 1 }, { type: "null" }], description: "How far." },
          control_types: { anyOf: [{ type: "array", items: { type: "string", enum: ["pose", "depth"] } }, { type: "null" }] },
          mask_blur_px: { type: "integer", default: 21, description: "In pixels, see `mask`." },
          sharpen: { type: "boolean", default: false },
          loras: { anyOf: [{ type: "object", additionalProperties: { type: "number", minimum: -2, maximum: 2 }, maxProperties: 5 }, { type: "null" }] },
          mask_mode: { type: "string", enum: ["auto"] },
          points: { type: "array" },
        },
      },
    },
  },
};

test("settings come from the service's document, with bounds, default and explanation", () => {
  const { settings } = abilitiesOf(DOCUMENT);
  expect(settings.map(({ name, kind }) => [name, kind])).toEqual([
    ["speed", "choice"], ["num_inference_steps", "number"], ["strength", "number"], ["control_types", "several"], ["mask_blur_px", "number"], ["sharpen", "flag"],
  ]);
  expect(settings[0]).toMatchObject({ choices: ["normal", "fast"], usual: "normal", explanation: "fast takes few steps." });
  expect(settings[1]).toMatchObject({ title: "Num inference steps", least: 1, most: 100, whole: true, usual: 25 });
  expect(settings[2]).toMatchObject({ least: 0.1, most: 1, whole: false, usual: null, explanation: "How far." });
  expect(settings[3]).toMatchObject({ choices: ["pose", "depth"] });
  expect(settings[4]).toMatchObject({ title: "Mask blur (px)", explanation: "In pixels, see mask." });
});

test("what a service can do beside is read there too", () => {
  expect(abilitiesOf(DOCUMENT)).toMatchObject({ clicks: true, boxes: false, candidates: 8, views: 8, loras: { most: 5, least: -2, highest: 2 } });
  const { edits, settings } = abilitiesOf(DOCUMENT);
  expect(edits).toEqual({ most: 16, own: [{ ...settings[2], usual: null }] });
  expect(abilitiesOf({})).toEqual(NO_ABILITIES);
});

test("only what differs from the service's own default is sent", () => {
  const { settings } = abilitiesOf(DOCUMENT);
  const chosen = { speed: "normal", num_inference_steps: 30, strength: null, control_types: [], sharpen: true, unknown: 1 };
  expect(differing(settings, chosen)).toEqual({ num_inference_steps: 30, sharpen: true });
});
