-- Markdown, a small and safe part of it: # headings, paragraphs, - lists, *emphasis*, **strong**,
-- `code`, blocks of code between ``` lines, and [links](https://example.org) to http and https.
--
-- The text is escaped before anything else happens to it, and what is then put in are tags
-- from this file: so nothing that was written can become markup.
local escape = require "tornado.escape"

local MARK = "\1" -- stands around the number of what is not to be looked at again

-- Emphasis without and with others in it. The frontiers: no space just inside of the stars.
local STRONG = "%*%*%f[^%s*]([^*]-)%f[%s*]%*%*"
local EMPHASIS = "%*%f[^%s*]([^*]-)%f[%s*]%*"

local function emphasise(text)
    text = text:gsub(STRONG, "<strong>%1</strong>"):gsub(EMPHASIS, "<em>%1</em>")
    return (text:gsub(STRONG, "<strong>%1</strong>"))
end

-- Code and links are set aside, as stars in them mean nothing.
local function inline(text)
    local aside = {}
    local function keep(html)
        aside[#aside + 1] = html
        return MARK .. #aside .. MARK
    end
    text = text:gsub("`([^`]+)`", function(code) return keep("<code>" .. code .. "</code>") end)
    text = text:gsub("%[([^%[%]]+)%]%((https?://[^%s%c()]+)%)", function(label, url)
        return keep(('<a href="%s" rel="nofollow">%s</a>'):format(url, emphasise(label)))
    end)
    local function put_back(n)
        return (aside[tonumber(n)]:gsub(MARK .. "(%d+)" .. MARK, aside))
    end
    -- A link's label may have code: the numbers in `aside` are text, so both come by this.
    for i = 1, #aside do aside[tostring(i)] = aside[i] end
    return (emphasise(text):gsub(MARK .. "(%d+)" .. MARK, put_back))
end

-- Blocks: each takes the lines from `at` on; returns its HTML and the line behind it -----------

local function fence(lines, at)
    if not lines[at]:find("^```") then return nil end
    local last = at + 1
    while lines[last] and not lines[last]:find("^```%s*$") do last = last + 1 end
    return "<pre tabindex=\"0\"><code>" .. table.concat(lines, "\n", at + 1, last - 1) ..
        "</code></pre>", last + 1
end

-- The page has its h1 and the entry its h2.
local function heading(lines, at)
    local marks, text = lines[at]:match("^(##?#?)%s+(.-)[%s#]*$")
    if not marks then return nil end
    local level = #marks + 2
    return ("<h%d>%s</h%d>"):format(level, inline(text), level), at + 1
end

local function list(lines, at)
    local items = {}
    while lines[at] do
        local text = lines[at]:match("^[-*]%s+(.*)$")
        if not text then break end
        items[#items + 1] = "<li>" .. inline(text) .. "</li>"
        at = at + 1
    end
    if #items == 0 then return nil end
    return "<ul>\n" .. table.concat(items, "\n") .. "\n</ul>", at
end

local function begins_block(line)
    return line:find("^%s*$") or line:find("^```") or line:find("^##?#?%s+") or
        line:find("^[-*]%s+")
end

local function paragraph(lines, at)
    local last = at
    while lines[last + 1] and not begins_block(lines[last + 1]) do last = last + 1 end
    return "<p>" .. inline(table.concat(lines, "\n", at, last)) .. "</p>", last + 1
end

local BLOCKS = { fence, heading, list, paragraph }

local function block_at(lines, at)
    for _, block in ipairs(BLOCKS) do
        local html, behind = block(lines, at)
        if html then return html, behind end
    end
end

local markdown = {}

--- Takes text and returns HTML.
function markdown.render(text)
    text = escape.xhtml_escape((text:gsub("\r\n?", "\n"):gsub("[%z\1-\8\11-\31\127]", " ")))
    local lines, out, at = {}, {}, 1
    for line in (text .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
    while lines[at] do
        if lines[at]:find("^%s*$") then
            at = at + 1
        else
            out[#out + 1], at = block_at(lines, at)
        end
    end
    return table.concat(out, "\n")
end

return markdown
