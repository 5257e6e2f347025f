/** `fetch` for uploads: it says how much has been sent, which `fetch` itself does not. */

/** `tell` is told the share of the body that has been sent, 0 to 1. */
export function sending(tell: (share: number) => void): typeof fetch {
  return (path, { method = "POST", headers, body, signal } = {}) =>
    new Promise((answered, failed) => {
      const request = new XMLHttpRequest();
      request.open(method, String(path));
      new Headers(headers).forEach((value, name) => request.setRequestHeader(name, value));
      request.responseType = "blob";
      request.upload.onprogress = ({ lengthComputable, loaded, total }) => lengthComputable && tell(loaded / total);
      request.onload = () => answered(new Response(request.response as Blob, { status: request.status, headers: headersOf(request) }));
      request.onerror = () => failed(new TypeError("nothing answered"));
      request.onabort = () => failed(new DOMException("stopped", "AbortError"));
      signal?.addEventListener("abort", () => request.abort());
      request.send(body as XMLHttpRequestBodyInit);
    });
}

function headersOf(request: XMLHttpRequest): Headers {
  const lines = request.getAllResponseHeaders().trim().split(/[\r\n]+/);
  return new Headers(lines.filter(Boolean).map((line): [string, string] => {
    const [name = "", ...value] = line.split(": ");
    return [name, value.join(": ")];
  }));
}
