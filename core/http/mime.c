/* Sorted by name, for a binary search. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/mime.h"

#include <stdlib.h>
#include <string.h>

typedef struct mime {
    const char *ending; /* in lower case */
    const char *type;
} mime;

static const mime types[] = {
    { "7z", "application/x-7z-compressed" },
    { "aac", "audio/aac" },
    { "apk", "application/vnd.android.package-archive" },
    { "atom", "application/atom+xml" },
    { "avi", "video/x-msvideo" },
    { "avif", "image/avif" },
    { "bmp", "image/bmp" },
    { "br", "application/octet-stream" },
    { "bz2", "application/octet-stream" },
    { "c", "text/plain" },
    { "cjs", "text/javascript" },
    { "conf", "text/plain" },
    { "css", "text/css" },
    { "csv", "text/csv" },
    { "deb", "application/vnd.debian.binary-package" },
    { "doc", "application/msword" },
    { "docx",
      "application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
    { "eot", "application/vnd.ms-fontobject" },
    { "epub", "application/epub+zip" },
    { "flac", "audio/flac" },
    { "geojson", "application/geo+json" },
    { "gif", "image/gif" },
    { "gz", "application/gzip" },
    { "h", "text/plain" },
    { "heic", "image/heic" },
    { "htm", "text/html" },
    { "html", "text/html" },
    { "ico", "image/vnd.microsoft.icon" },
    { "ics", "text/calendar" },
    { "jar", "application/java-archive" },
    { "jpeg", "image/jpeg" },
    { "jpg", "image/jpeg" },
    { "js", "text/javascript" },
    { "json", "application/json" },
    { "jsonld", "application/ld+json" },
    { "jxl", "image/jxl" },
    { "kml", "application/vnd.google-earth.kml+xml" },
    { "log", "text/plain" },
    { "lua", "text/x-lua" },
    { "m3u8", "application/vnd.apple.mpegurl" },
    { "m4a", "audio/mp4" },
    { "m4v", "video/mp4" },
    { "manifest", "text/cache-manifest" },
    { "map", "application/json" },
    { "md", "text/markdown" },
    { "mht", "message/rfc822" },
    { "mid", "audio/midi" },
    { "mjs", "text/javascript" },
    { "mkv", "video/x-matroska" },
    { "mov", "video/quicktime" },
    { "mp3", "audio/mpeg" },
    { "mp4", "video/mp4" },
    { "mpeg", "video/mpeg" },
    { "mpg", "video/mpeg" },
    { "odp", "application/vnd.oasis.opendocument.presentation" },
    { "ods", "application/vnd.oasis.opendocument.spreadsheet" },
    { "odt", "application/vnd.oasis.opendocument.text" },
    { "oga", "audio/ogg" },
    { "ogg", "audio/ogg" },
    { "ogv", "video/ogg" },
    { "opus", "audio/ogg" },
    { "otf", "font/otf" },
    { "pdf", "application/pdf" },
    { "pem", "application/x-pem-file" },
    { "png", "image/png" },
    { "ppt", "application/vnd.ms-powerpoint" },
    { "pptx",
      "application/vnd.openxmlformats-officedocument.presentationml.presentation" },
    { "ps", "application/postscript" },
    { "py", "text/x-python" },
    { "rar", "application/vnd.rar" },
    { "rss", "application/rss+xml" },
    { "rtf", "application/rtf" },
    { "sh", "application/x-sh" },
    { "sql", "application/sql" },
    { "srt", "application/x-subrip" },
    { "svg", "image/svg+xml" },
    { "svgz", "application/gzip" },
    { "tar", "application/x-tar" },
    { "taz", "application/gzip" },
    { "tgz", "application/gzip" },
    { "tif", "image/tiff" },
    { "tiff", "image/tiff" },
    { "toml", "application/toml" },
    { "ts", "video/mp2t" },
    { "tsv", "text/tab-separated-values" },
    { "ttc", "font/collection" },
    { "ttf", "font/ttf" },
    { "txt", "text/plain" },
    { "vcf", "text/vcard" },
    { "vtt", "text/vtt" },
    { "wasm", "application/wasm" },
    { "wav", "audio/x-wav" },
    { "weba", "audio/webm" },
    { "webm", "video/webm" },
    { "webmanifest", "application/manifest+json" },
    { "webp", "image/webp" },
    { "woff", "font/woff" },
    { "woff2", "font/woff2" },
    { "xhtml", "application/xhtml+xml" },
    { "xls", "application/vnd.ms-excel" },
    { "xlsx",
      "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" },
    { "xml", "application/xml" },
    { "xsl", "application/xml" },
    { "xz", "application/octet-stream" },
    { "yaml", "application/yaml" },
    { "yml", "application/yaml" },
    { "z", "application/octet-stream" },
    { "zip", "application/zip" },
    { "zst", "application/octet-stream" },
};

enum { LONGEST = 15 };

static int by_ending(const void *a, const void *b) {
    return strcmp(a, ((const mime *)b)->ending);
}

const char *ct_mime_type(ct_str name) {
    char ending[LONGEST + 1];
    const char *dot = memrchr(name.p, '.', name.n), *end = name.p + name.n;
    const mime *found = NULL;
    size_t n = 0;

    /* A name that begins with its only dot has no ending. */
    if (dot && dot > name.p && dot[-1] != '/' && end - dot - 1 <= LONGEST) {
        for (const char *p = dot + 1; p < end; p++)
            ending[n++] = (char)(*p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p);
        ending[n] = 0;
        found = bsearch(ending, types, sizeof types / sizeof *types,
                        sizeof *types, by_ending);
    }
    return found ? found->type : "application/octet-stream";
}

bool ct_mime_is_compressible(const char *type) {
    const char *rest = strchr(type, '/') + 1;

    return strncmp(type, "text/", 5) == 0 || strstr(rest, "json") ||
           strstr(rest, "xml") || strcmp(rest, "wasm") == 0 ||
           strcmp(rest, "ttf") == 0 || strcmp(rest, "otf") == 0;
}
