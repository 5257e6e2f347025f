"""What an encoded image says of itself, where the caller asked for it: **encode** with metadata.

Every format carries an XMP packet: the IPTC digital source type of an image in which a model has repainted something
(https://cv.iptc.org/newscodes/digitalsourcetype/) and the edit's parameters as JSON. A PNG has them as text too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from PIL.PngImagePlugin import PngInfo

DIGITAL_SOURCE_TYPE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
PARAMETERS_KEY: Final = "parameters"
"""Of the PNG's text chunk, as other tools for diffusion models name it."""

_XMP_KEY = "XML:com.adobe.xmp"
_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
<xmp:CreatorTool>image-composition</xmp:CreatorTool>
<Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>
<exif:UserComment><rdf:Alt><rdf:li xml:lang="x-default">{parameters}</rdf:li></rdf:Alt></exif:UserComment>
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def as_text(parameters: Mapping[str, Any]) -> str:
    """JSON in ASCII: any prompt, whatever characters are in it, can stand in any file."""
    return json.dumps(parameters)


def xmp_packet(parameters: Mapping[str, Any]) -> bytes:
    """The packet, UTF-8."""
    return _PACKET.format(source_type=DIGITAL_SOURCE_TYPE, parameters=escape(as_text(parameters))).encode()


def png_texts(parameters: Mapping[str, Any]) -> PngInfo:
    """The chunks of a PNG: its parameters, and the XMP packet."""
    texts = PngInfo()
    texts.add_itxt(PARAMETERS_KEY, as_text(parameters))
    texts.add_itxt(_XMP_KEY, xmp_packet(parameters).decode())
    return texts
