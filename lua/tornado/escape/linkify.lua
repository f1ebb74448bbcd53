-- linkify: finds URLs in plain text and makes HTML links of them. A hand-written
-- scanner instead of Tornado's regular expression, so its time is linear whatever
-- the text; what it accepts is the same.

local core = require "tornado.core"
local util = require "tornado.util"

local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local MAX_LENGTH = 30 -- of a shortened link's text, about

local WORD, FINAL, BODY = {}, {}, {} -- by byte
for code = 0, 255 do
    local char = string.char(code)
    local space = find(char, "^[%s\28-\31]") ~= nil
    WORD[code] = code >= 128 or find(char, "^[%w_]") ~= nil
    BODY[code] = not space and not find(char, "^[&()]")
    FINAL[code] = not space and not find(char, "^[!\"#$%%&'()*+,.:;<=>?@%[%]^`{|}~\\]")
        or char == "\\"
end

local SPACES = { -- of Unicode, as UTF-8: U+0085, A0, 1680, 2000-200A, 2028, 2029, 202F...
    ["\194\133"] = true, ["\194\160"] = true, ["\225\154\128"] = true,
    ["\226\128\168"] = true, ["\226\128\169"] = true, ["\226\128\175"] = true,
    ["\226\129\159"] = true, ["\227\128\128"] = true,
}
for last = 0x80, 0x8A do SPACES["\226\128" .. string.char(last)] = true end

local function is_space(text, at)
    local code = byte(text, at)
    if code == 0xC2 then return SPACES[sub(text, at, at + 1)] end
    return code >= 0xE1 and code <= 0xE3 and SPACES[sub(text, at, at + 2)]
end

-- Whether the character before `at` belongs to a word. Letters of other scripts do;
-- Latin-1 signs, U+2000 to U+2BFF (punctuation, arrows, symbols) and U+3000 to U+303F
-- do not.
local function after_word(text, at)
    local code = byte(text, at - 1)
    if not code or code < 128 then return code and WORD[code] or false end
    local c2 = match(text, "^\194[\128-\191]()", at - 2)
    local symbol = match(text, "^\226[\128-\175][\128-\191]()", at - 3)
    local cjk = match(text, "^\227\128[\128-\191]()", at - 3)
    return not (at > 2 and c2 or at > 3 and (symbol or cjk))
end

-- The end (exclusive) of the run of body characters from `at`, and of the last of them
-- that may end a URL. &amp; and &quot; count as one, and end none.
local function run(text, at)
    local last
    while true do
        local code = byte(text, at)
        if not code then return at, last end
        if BODY[code] and not (code >= 0xC2 and is_space(text, at)) then
            at = at + 1
            if FINAL[code] then last = at end
        else
            local after = code == 38 and match(text, "^&amp;()", at)
                or code == 38 and match(text, "^&quot;()", at)
            if not after then return at, last end
            at = after
        end
    end
end

-- The end (exclusive) of a URL's part after the protocol, nil when there is none.
local function body_end(text, at)
    local start = at
    while true do
        local _, last = run(text, at)
        if last then
            at = last
        elseif byte(text, at) == 40 then -- (
            local closing = run(text, at + 1)
            if byte(text, closing) ~= 41 then break end
            at = closing + 1
        else
            break
        end
    end
    return at > start and at or nil
end

-- The link whose protocol ends with the ":/" at `colon`; nil when there is none.
local function protocol_link(text, from, colon)
    local start = colon
    while start > from do
        if byte(text, start - 1) ~= 45 and not after_word(text, start) then break end
        start = start - 1
    end
    -- A word boundary, as \b in a regular expression.
    while start < colon and after_word(text, start) == WORD[byte(text, start)] do
        start = start + 1
    end
    if start == colon then return nil end
    for slashes = #match(text, "^//?/?", colon + 1), 1, -1 do
        local stop = body_end(text, colon + 1 + slashes)
        if stop then
            return {
                start = start, stop = stop, slashes = slashes,
                protocol = sub(text, start, colon - 1),
            }
        end
    end
end

-- The link that begins with the "www." at `start`; nil when there is none.
local function www_link(text, _, start)
    local stop = not after_word(text, start) and body_end(text, start + 4)
    return stop and { start = start, stop = stop }
end

local NONE = { start = math.huge }

-- The first link at or after `from` that `make` finds around an occurrence of `mark`.
local function search(text, from, mark, make)
    local at = find(text, mark, from, true)
    while at do
        local link = make(text, from, at)
        if link then return link end
        at = find(text, mark, at + 1, true)
    end
    return NONE
end

-- The shortened text of a link, or nil when shortening would not make it shorter.
local function shortened(url, link)
    local prefix = link.protocol and #link.protocol + 1 + link.slashes or 0
    local host, path = match(url, "^([^/]*)/([^/]*)", prefix + 1)
    local text = url
    if host then
        path = match(match(sub(path, 1, 8), "^[^?]*"), "^[^.]*")
        text = sub(url, 1, prefix) .. host .. "/" .. path
    end
    if #text > MAX_LENGTH * 1.5 then text = sub(text, 1, MAX_LENGTH) end
    if text == url then return nil end
    -- Neither an entity nor a character is cut in two.
    local amp = match(text, "^.*()&")
    if amp and amp > MAX_LENGTH - 4 then text = sub(text, 1, amp - 1) end
    if (byte(url, #text + 1) or 0) >= 128 and (byte(url, #text + 1) or 0) < 192 then
        text = text:gsub("[\192-\255]?[\128-\191]*$", "")
    end
    text = text .. "..."
    return #text < #url and text or nil
end

local KNOWN = {
    shorten = false, extra_params = "", require_protocol = false,
    permitted_protocols = util.NONE,
}
local PERMITTED = { http = true, https = true }

local function anchor(url, link, options)
    local protocol = link.protocol
    if options.require_protocol and not protocol then return url end
    if protocol and not options.permitted[protocol] then return url end
    local href = protocol and url or "http://" .. url
    local params = options.extra_params
    if util.is_callable(params) then params = params(href) end
    params = match(params, "^%s*(.*)$"):gsub("%s+$", "")
    if params ~= "" then params = " " .. params end
    local text = options.shorten and #url > MAX_LENGTH and shortened(url, link)
    if text then params = params .. ' title="' .. href .. '"' end
    return '<a href="' .. href .. '"' .. params .. ">" .. (text or url) .. "</a>"
end

local function permitted(names)
    if names == nil then return PERMITTED end
    local set = {}
    for _, name in ipairs(names) do set[name] = true end
    return set
end

--- Takes plain text and returns HTML with its URLs as links. Options: shorten,
--- extra_params (a string, or a function of the href that returns one),
--- require_protocol, permitted_protocols (a list; default http and https).
local function linkify(text, options)
    if type(text) ~= "string" then
        error("bad text: expected string, got " .. type(text), 2)
    end
    options = util.options(options, KNOWN, "linkify")
    options.permitted = permitted(options.permitted_protocols)
    text = core.html_escape(text)
    local pieces, n, from = {}, 0, 1
    local first, www = { start = 0 }, { start = 0 }
    while true do
        if first.start < from then first = search(text, from, ":/", protocol_link) end
        if www.start < from then www = search(text, from, "www.", www_link) end
        local link = www.start < first.start and www or first
        if link == NONE then break end
        pieces[n + 1] = sub(text, from, link.start - 1)
        pieces[n + 2] = anchor(sub(text, link.start, link.stop - 1), link, options)
        n, from = n + 2, link.stop
    end
    pieces[n + 1] = sub(text, from)
    return table.concat(pieces)
end

return linkify
