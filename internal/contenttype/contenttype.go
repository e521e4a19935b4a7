// Package contenttype guesses content types from names, as Swift does with Python's table and the file mime.types of the
// cluster: a fixed table, so that the answer does not depend on what is installed.
//
//	types, err := contenttype.Load("/etc/swift/mime.types") // which need not exist
//	types.Of("/v1/a/c/page.html")                           // text/html
package contenttype

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// A Table has the types by extension. It does not change.
type Table map[string]string

// Load reads a file in the form of mime.types on top of the fixed table; it need not exist.
func Load(path string) (Table, error) {
	t := make(Table, len(knownTypes)/2)
	for line := range strings.Lines(knownTypes) {
		ext, typ, _ := strings.Cut(strings.TrimSpace(line), " ")
		t["."+ext] = typ
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read content types: %w", err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); ; {
		if !s.Scan() {
			return t, s.Err()
		}
		line, _, _ := strings.Cut(s.Text(), "#")
		if words := strings.Fields(line); len(words) > 1 {
			for _, ext := range words[1:] {
				t["."+ext] = words[0]
			}
		}
	}
}

// Of guesses the type of an object; what cannot be told is application/octet-stream.
func (t Table) Of(path string) string {
	stem, ext := splitExt(path)
	for shortcut, full := range map[string]string{
		".svgz": ".svg.gz", ".tgz": ".tar.gz", ".taz": ".tar.gz", ".tz": ".tar.gz", ".tbz2": ".tar.bz2", ".txz": ".tar.xz",
	} {
		if strings.EqualFold(ext, shortcut) {
			stem, ext = splitExt(stem + full)
		}
	}
	switch ext {
	case ".gz", ".Z", ".bz2", ".xz", ".br": // how it is packed does not matter
		_, ext = splitExt(stem)
	}
	if typ, ok := t[ext]; ok {
		return typ
	}
	if typ, ok := t[strings.ToLower(ext)]; ok {
		return typ
	}
	return "application/octet-stream"
}

// splitExt cuts off an extension. A name's leading dots begin none.
func splitExt(path string) (stem, ext string) {
	base := path[strings.LastIndexByte(path, '/')+1:]
	dot := strings.LastIndexByte(base, '.')
	if dot <= 0 || strings.Trim(base[:dot], ".") == "" {
		return path, ""
	}
	return path[:len(path)-len(base)+dot], base[dot:]
}

// knownTypes are extensions and their types, one a line.
const knownTypes = `3g2 audio/3gpp2
3gp audio/3gpp
3gpp audio/3gpp
3gpp2 audio/3gpp2
a application/octet-stream
aac audio/aac
adts audio/aac
ai application/postscript
aif audio/x-aiff
aifc audio/x-aiff
aiff audio/x-aiff
ass audio/aac
au audio/basic
avi video/x-msvideo
avif image/avif
bat text/plain
bcpio application/x-bcpio
bin application/octet-stream
bmp image/bmp
c text/plain
cdf application/x-netcdf
cpio application/x-cpio
csh application/x-csh
css text/css
csv text/csv
dll application/octet-stream
doc application/msword
dot application/msword
dvi application/x-dvi
eml message/rfc822
eps application/postscript
etx text/x-setext
exe application/octet-stream
gif image/gif
gtar application/x-gtar
h text/plain
h5 application/x-hdf5
hdf application/x-hdf
heic image/heic
heif image/heif
htm text/html
html text/html
ico image/vnd.microsoft.icon
ief image/ief
jpe image/jpeg
jpeg image/jpeg
jpg image/jpeg
js application/javascript
json application/json
ksh text/plain
latex application/x-latex
loas audio/aac
m1v video/mpeg
m3u application/vnd.apple.mpegurl
m3u8 application/vnd.apple.mpegurl
man application/x-troff-man
me application/x-troff-me
mht message/rfc822
mhtml message/rfc822
mif application/x-mif
mjs application/javascript
mov video/quicktime
movie video/x-sgi-movie
mp2 audio/mpeg
mp3 audio/mpeg
mp4 video/mp4
mpa video/mpeg
mpe video/mpeg
mpeg video/mpeg
mpg video/mpeg
ms application/x-troff-ms
n3 text/n3
nc application/x-netcdf
nq application/n-quads
nt application/n-triples
nws message/rfc822
o application/octet-stream
obj application/octet-stream
oda application/oda
opus audio/opus
p12 application/x-pkcs12
p7c application/pkcs7-mime
pbm image/x-portable-bitmap
pdf application/pdf
pfx application/x-pkcs12
pgm image/x-portable-graymap
pl text/plain
png image/png
pnm image/x-portable-anymap
pot application/vnd.ms-powerpoint
ppa application/vnd.ms-powerpoint
ppm image/x-portable-pixmap
pps application/vnd.ms-powerpoint
ppt application/vnd.ms-powerpoint
ps application/postscript
pwz application/vnd.ms-powerpoint
py text/x-python
pyc application/x-python-code
pyo application/x-python-code
qt video/quicktime
ra audio/x-pn-realaudio
ram application/x-pn-realaudio
ras image/x-cmu-raster
rdf application/xml
rgb image/x-rgb
roff application/x-troff
rtx text/richtext
sgm text/x-sgml
sgml text/x-sgml
sh application/x-sh
shar application/x-shar
snd audio/basic
so application/octet-stream
src application/x-wais-source
srt text/plain
sv4cpio application/x-sv4cpio
sv4crc application/x-sv4crc
svg image/svg+xml
swf application/x-shockwave-flash
t application/x-troff
tar application/x-tar
tcl application/x-tcl
tex application/x-tex
texi application/x-texinfo
texinfo application/x-texinfo
tif image/tiff
tiff image/tiff
tr application/x-troff
trig application/trig
tsv text/tab-separated-values
txt text/plain
ustar application/x-ustar
vcf text/x-vcard
vtt text/vtt
wasm application/wasm
wav audio/x-wav
webm video/webm
webmanifest application/manifest+json
wiz application/msword
wsdl application/xml
xbm image/x-xbitmap
xlb application/vnd.ms-excel
xls application/vnd.ms-excel
xml text/xml
xpdl application/xml
xpm image/x-xpixmap
xsl application/xml
xwd image/x-xwindowdump
zip application/zip`
