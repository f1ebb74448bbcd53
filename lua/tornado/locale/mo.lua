-- Reads gettext's compiled catalogues (.mo). A file is data of somebody else: every offset is
-- checked, and its plural rule is parsed, not run.
local core = require "tornado.core"
local plural = require "tornado.locale.plural"

local byte, sub = string.byte, string.sub

local mo = {}

local MAGIC = 0x950412de
local HEADER = 28 -- bytes: magic, revision, count, two tables, and a hash table not used here

local function fail(text)
    error({ why = text }, 0)
end

local function little(text, at)
    local a, b, c, d = byte(text, at + 1, at + 4)
    return a + b * 256 + c * 65536 + d * 16777216
end

local function big(text, at)
    local a, b, c, d = byte(text, at + 1, at + 4)
    return a * 16777216 + b * 65536 + c * 256 + d
end

-- The string that entry `i` of the table at `start` points to.
local function string_at(text, word, start, i)
    local size, at = word(text, start + i * 8), word(text, start + i * 8 + 4)
    if at + size > #text then fail("a string lies outside of the file") end
    return sub(text, at + 1, at + size)
end

local function split_forms(text)
    local forms = {}
    for form in (text .. "\0"):gmatch("([^%z]*)%z") do forms[#forms + 1] = form end
    return forms
end

-- "Name: value" lines of the catalogue's header, the translation of "".
local function read_header(catalogue, header)
    local charset = header:lower():match("charset=([%w_-]+)")
    if charset and charset ~= "utf-8" and charset ~= "us-ascii" and charset ~= "ascii" and
        charset ~= "charset" then
        fail("charset " .. charset .. ": expected utf-8")
    end
    local line = header:match("[Pp]lural%-[Ff]orms:([^\n]*)")
    local rule = line and line:match("plural%s*=([^;]*)")
    if not rule then return end
    local compiled, why = plural.compile(rule)
    if not compiled then fail("bad plural forms: " .. why) end
    catalogue.plural = compiled
end

local function parse(text)
    if #text < HEADER then fail("not a catalogue: too short") end
    local word = little
    if little(text, 0) ~= MAGIC then word = big end
    if word(text, 0) ~= MAGIC then fail("not a catalogue: bad magic number") end
    if word(text, 4) >= 0x20000 then fail("unknown revision of the format") end
    local count, ids, texts = word(text, 8), word(text, 12), word(text, 16)
    if ids + count * 8 > #text or texts + count * 8 > #text then
        fail("a table lies outside of the file")
    end
    local catalogue = { plural = plural.germanic, messages = {} }
    for i = 0, count - 1 do
        local id = string_at(text, word, ids, i)
        local translation = string_at(text, word, texts, i)
        if not core.is_utf8(translation) then fail("expected UTF-8") end
        if id == "" then
            read_header(catalogue, translation)
        else
            catalogue.messages[id:match("^[^%z]*")] = split_forms(translation)
        end
    end
    return catalogue
end

--- Parses the bytes of a .mo file. Returns { messages, plural }: lists of forms by message
-- (context and "\4" before it where there is one), and the function that chooses; or nil and
-- what is wrong.
function mo.parse(bytes)
    local ok, result = pcall(parse, bytes)
    if ok then return result end
    return nil, type(result) == "table" and result.why or tostring(result)
end

return mo
