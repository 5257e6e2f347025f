"""The domain of image composition: what an edit is, decided and described without torch or bentoml."""
