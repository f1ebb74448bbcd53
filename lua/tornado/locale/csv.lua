-- Files of comma-separated values as Excel writes them: fields in quotes may hold commas,
-- newlines and doubled quotes; a byte-order mark tells UTF-16 from UTF-8.
local core = require "tornado.core"

local byte, char, concat, find, sub = string.byte, string.char, table.concat, string.find,
    string.sub
local floor = math.floor

local csv = {}

-- Encodings ------------------------------------------------------------------------

local function utf8(code)
    if code < 0x80 then return char(code) end
    if code < 0x800 then return char(0xc0 + floor(code / 64), 0x80 + code % 64) end
    if code < 0x10000 then
        return char(0xe0 + floor(code / 4096), 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
    end
    return char(0xf0 + floor(code / 262144), 0x80 + floor(code / 4096) % 64,
        0x80 + floor(code / 64) % 64, 0x80 + code % 64)
end

-- UTF-16 as UTF-8; nil and what is wrong with it.
local function from_utf16(text, big)
    if #text % 2 ~= 0 then return nil, "expected UTF-16, got an odd number of bytes" end
    local out, high = {}, nil
    for at = 1, #text, 2 do
        local a, b = byte(text, at, at + 1)
        local unit = big and a * 256 + b or b * 256 + a
        local is_low = unit >= 0xdc00 and unit < 0xe000
        if is_low ~= (high ~= nil) then return nil, "expected UTF-16, got half a character" end
        if unit >= 0xd800 and unit < 0xdc00 then
            high = unit
        elseif is_low then
            out[#out + 1] = utf8(0x10000 + (high - 0xd800) * 1024 + unit - 0xdc00)
            high = nil
        else
            out[#out + 1] = utf8(unit)
        end
    end
    if high then return nil, "expected UTF-16, got half a character" end
    return concat(out)
end

local MARKS = { ["\255\254"] = "utf-16-le", ["\254\255"] = "utf-16-be" }

csv.ENCODINGS = {
    ["utf-8"] = true, ["utf-8-sig"] = true, ["utf-16"] = true, ["utf-16-le"] = true,
    ["utf-16-be"] = true,
}

--- The text of a file as UTF-8 without its byte-order mark; nil and what is wrong with it. By
-- `encoding` (one of csv.ENCODINGS), or, without one, by the mark.
function csv.decode(bytes, encoding)
    local mark = MARKS[sub(bytes, 1, 2)]
    if encoding == "utf-16" or not encoding then encoding = mark or encoding end
    if encoding and find(encoding, "^utf%-16") then
        if mark == encoding then bytes = sub(bytes, 3) end
        return from_utf16(bytes, encoding == "utf-16-be")
    end
    if sub(bytes, 1, 3) == "\239\187\191" then bytes = sub(bytes, 4) end
    if not core.is_utf8(bytes) then return nil, "expected UTF-8" end
    return bytes
end

-- Rows -------------------------------------------------------------------------------

-- The field that begins behind a quote at `at`, and where it ends.
local function quoted(text, at)
    local pieces = {}
    while true do
        local quote = find(text, '"', at, true)
        pieces[#pieces + 1] = sub(text, at, (quote or 0) - 1)
        if not quote then return concat(pieces), #text + 1 end
        at = quote + 1
        if byte(text, at) ~= 34 then break end
        pieces[#pieces + 1] = '"'
        at = at + 1
    end
    local stop = find(text, "[,\n]", at) or #text + 1
    pieces[#pieces + 1] = sub(text, at, stop - 1)
    return concat(pieces), stop
end

local function plain(text, at)
    local stop = find(text, "[,\n]", at) or #text + 1
    return sub(text, at, stop - 1), stop
end

--- Splits a text into rows, lists of fields; an empty line is an empty row.
function csv.rows(text)
    text = text:gsub("\r\n?", "\n")
    local rows, at = {}, 1
    while at <= #text do
        local row, field = {}
        if byte(text, at) ~= 10 then
            repeat
                local read = byte(text, at) == 34 and quoted or plain
                field, at = read(text, read == quoted and at + 1 or at)
                row[#row + 1] = field
                at = at + 1
            until at > #text + 1 or byte(text, at - 1) == 10
        else
            at = at + 1
        end
        rows[#rows + 1] = row
    end
    return rows
end

return csv
