"""What a release needs beside the code: `make release-check`, `make sbom`."""
