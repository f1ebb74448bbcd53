-- Markdown as the pages show it: headings with anchors, code with colours, links between pages.
-- A document is { title =, html =, headings = { { level =, id =, title = } }, sections = }: the
-- sections are what the search looks at, { id =, title =, text = }.
local escape = require "tornado.escape"
local gen = require "tornado.gen"
local markdown = require "tornado.markdown"

local highlight = require "highlight"

local MAX_SIZE = 4 * 1048576

local function plain(html)
    return escape.xhtml_unescape((html:gsub("<[^>]*>", "")))
end

-- "How it's `done`?" as "how-it-s-done".
local function slug(title)
    return (title:lower():gsub("[^%w_.]+", "-"):gsub("^-+", ""):gsub("-+$", ""))
end

local document = {}

-- Gives each heading an id of its own, and a link to itself.
local function add_anchors(html, headings)
    local taken = {}
    return (html:gsub("<h([1-6])>(.-)</h%1>", function(level, inner)
        local title = plain(inner)
        local id = slug(title)
        local n = taken[id]
        taken[id] = (n or 0) + 1
        if n then id = id .. "-" .. n + 1 end
        headings[#headings + 1] = { level = tonumber(level), id = id, title = title }
        if level == "1" then return "<h1>" .. inner .. "</h1>" end
        return ('<h%s id="%s"><a class="anchor" href="#%s">%s</a></h%s>'):format(level,
            escape.xhtml_escape(id), escape.xhtml_escape(id), inner, level)
    end))
end

local function colour(language, code)
    local source = escape.xhtml_unescape(code)
    return ('<div class="code"><pre tabindex="0"><code>%s</code></pre></div>'):format(
        highlight(source, language))
end

local function add_colours(html)
    html = html:gsub('<pre><code class="language%-([%w-]+)">(.-)</code></pre>', colour)
    return (html:gsub("<pre><code>(.-)</code></pre>", function(code) return colour("", code) end))
end

-- Cuts the HTML at its headings.
local function sections_of(html, headings)
    local sections, at = {}, html:find("<h[1-6]")
    for _, heading in ipairs(headings) do
        local behind = html:find("<h[1-6]", at + 1)
        local text = html:sub(at, (behind or 0) - 1):gsub("^.-</h[1-6]>", "")
        sections[#sections + 1] = {
            id = heading.level > 1 and heading.id or nil, title = heading.title,
            text = (plain(text):gsub("%s+", " ")),
        }
        at = behind
    end
    return sections
end

-- What is short stays in one line: browsers break behind each hyphen of --name.
local function keep_whole(html)
    return (html:gsub("<code>(%-[^<]*)</code>", function(code)
        return #code <= 32 and ('<code class="whole">%s</code>'):format(code) or nil
    end))
end

--- Takes Markdown and returns a document; link(page) gives the URL of "page.md". Others have their
-- turn in between: the longest page takes some 20 ms.
function document.render(text, link)
    local headings = {}
    local html = markdown.to_html(text, { max_size = MAX_SIZE })
    html = html:gsub('<a href="([%w.-]+)%.md(#?[^"]*)"', function(page, anchor)
        return ('<a href="%s%s"'):format(link(page), anchor)
    end)
    gen.moment()
    html = add_anchors(html, headings)
    html = html:gsub("<table>.-</table>", '<div class="table" tabindex="0">%0</div>')
    gen.moment()
    local sections = sections_of(html, headings)
    gen.moment()
    return {
        title = headings[1] and headings[1].title or "", headings = headings,
        sections = sections, html = keep_whole(add_colours(html)),
    }
end

--- The text of a piece of Markdown as HTML without what surrounds a single paragraph.
function document.inline(text)
    return (markdown.to_html(text):gsub("^<p>(.*)</p>\n$", "%1"))
end

return document
