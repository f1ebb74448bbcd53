-- Markdown to HTML, safe for what strangers wrote: HTML in the text comes out as text, and links
-- and images lead to http, https, mailto or this site alone. CommonMark with tables and
-- ~~strikethrough~~, by md4c (Debian: libmd4c-html0), which is opened at the first call.
local core = require "tornado.core"
local util = require "tornado.util"

local markdown = {}

--- Raised by to_html() when the library is not there; its message names the package.
markdown.MarkdownError = util.Error:extend "MarkdownError"

local SCHEMES = { http = true, https = true, mailto = true }

-- All tags in the HTML are md4c's own, so this finds each address. One without a scheme has no
-- colon before its first "/", "?" or "#".
local function safe_address(before, url, after)
    local scheme = url:match("^([^/?#]*):")
    if scheme and not SCHEMES[scheme:lower()] then url = "" end
    return before .. url .. after
end

local OPTIONS = { max_size = 1048576 }

--- Takes Markdown (UTF-8; at most max_size bytes, which is 1 MiB unless options has it) and
-- returns HTML. Raises an error for more, and a MarkdownError when md4c is not installed.
-- Other controls than line feeds and tabs come out as spaces.
function markdown.to_html(text, options)
    if type(text) ~= "string" then
        error("bad text: expected string, got " .. type(text), 2)
    end
    local max_size = util.options(options, OPTIONS, "to_html").max_size
    if #text > max_size then
        error(("bad text: expected at most %d bytes, got %d"):format(max_size, #text), 2)
    end
    local html, why = core.markdown((text:gsub("[%z\1-\8\11\12\14-\31\127]", " ")))
    if not html then error(markdown.MarkdownError(why), 2) end
    html = html:gsub('(<a href=")([^"]*)(")', safe_address)
    html = html:gsub('(<img src=")([^"]*)(")', safe_address)
    return html
end

return markdown
