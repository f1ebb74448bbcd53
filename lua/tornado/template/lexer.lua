-- Cuts a template into text, expressions and tags. Where an expression ends is decided by
-- Lua's own rules for strings and braces, so "}}" inside {{ {a={1}} }} does not end it.
-- Tornado: the first "}}" or "%}" ends it, even within a string.
local util = require "tornado.util"

local byte, find, gsub, sub = string.byte, string.find, string.gsub, string.sub

--- What is wrong with a template: `message`, `filename`, `lineno`.
local ParseError = util.Error:extend "ParseError"

function ParseError:init(message, filename, lineno)
    self.message, self.filename, self.lineno = message, filename, lineno
end

function ParseError:__tostring()
    return ("%s at %s:%d"):format(self.message, self.filename, self.lineno)
end

local QUOTE, APOSTROPHE, BACKSLASH = 34, 39, 92
local OPEN, CLOSE, PERCENT, HASH, BANG = 123, 125, 37, 35, 33

-- The position behind the quoted string that begins at `at`; the next byte when it has no end.
local function skip_quoted(text, at, quote)
    local stop = quote == QUOTE and '["\\\n]' or "['\\\n]"
    local i = at + 1
    while true do
        i = find(text, stop, i)
        local c = i and byte(text, i)
        if c == quote then return i + 1 end
        if c ~= BACKSLASH then return at + 1 end
        i = i + 2
    end
end

-- The same for any string of Lua's.
local function skip_string(text, at)
    local c = byte(text, at)
    if c == QUOTE or c == APOSTROPHE then return skip_quoted(text, at, c) end
    local _, open, level = find(text, "^%[(=*)%[", at)
    local _, close
    if open then _, close = find(text, "]" .. level .. "]", open + 1, true) end
    return (close or at) + 1
end

local function end_of_expression(text, at)
    local depth = 0
    while true do
        at = find(text, "[\"'%[{}]", at)
        if not at then return nil end
        local c = byte(text, at)
        if c == CLOSE and depth == 0 and byte(text, at + 1) == CLOSE then return at end
        if c == OPEN then
            depth = depth + 1
        elseif c == CLOSE and depth > 0 then
            depth = depth - 1
        end
        at = (c == OPEN or c == CLOSE) and at + 1 or skip_string(text, at)
    end
end

local function end_of_tag(text, at)
    if find(text, "^%s*comment%f[%s%%]", at) then return (find(text, "%}", at, true)) end
    while true do
        at = find(text, "[\"'%[%%]", at)
        if not at then return nil end
        if byte(text, at) == PERCENT then
            if byte(text, at + 1) == CLOSE then return at end
            at = at + 1
        else
            at = skip_string(text, at)
        end
    end
end

local function newlines(s)
    local _, count = gsub(s, "\n", "")
    return count
end

-- Where the next directive begins; of three braces or more the innermost two count.
local function next_directive(text, at)
    while true do
        at = find(text, "{", at, true)
        if not at or at == #text then return nil end
        local c = byte(text, at + 1)
        local inner = c == OPEN and byte(text, at + 2) == OPEN
        if (c == OPEN or c == PERCENT or c == HASH) and not inner then return at, c end
        at = at + 1
    end
end

local ENDS = {
    [OPEN] = { end_of_expression, "Missing end expression }}" },
    [PERCENT] = { end_of_tag, "Missing end block %}" },
    [HASH] = { function(text, at) return (find(text, "#}", at, true)) end,
        "Missing end comment #}" },
}

local function trim(s)
    return s:match "^%s*(.-)%s*$"
end

-- A token of what stands between the braces; `line` is where the tag begins, `code_line` where
-- the code in it does.
local function expression(contents, line, name)
    local code = trim(contents)
    if code == "" then error(ParseError("Empty expression", name, line), 0) end
    return { kind = "expression", code = code, line = line,
        code_line = line + newlines(contents:match "^%s*") }
end

local function tag(contents, line, name)
    local before, op, rest = contents:match "^(%s*(%S+)%s*)(.-)%s*$"
    if not op then error(ParseError("Empty block tag ({% %})", name, line), 0) end
    return { kind = "tag", op = op, code = rest, line = line,
        code_line = line + newlines(before) }
end

local lexer = { ParseError = ParseError }

--- Takes a template's text and name; returns its tokens: { kind = "text", "expression" or "tag",
--- line, text or code, op }. Raises ParseError.
function lexer.tokens(text, name)
    local tokens, n, at, line = {}, 0, 1, 1
    local function add(token)
        n = n + 1
        tokens[n] = token
    end
    while true do
        local from, mark = next_directive(text, at)
        local before = sub(text, at, (from or 0) - 1)
        if before ~= "" then add { kind = "text", text = before, line = line } end
        if not from then return tokens end
        line = line + newlines(before)
        if byte(text, from + 2) == BANG then
            add { kind = "text", text = sub(text, from, from + 1), line = line }
            at = from + 3
        else
            local last = ENDS[mark][1](text, from + 2)
            if not last then error(ParseError(ENDS[mark][2], name, line), 0) end
            local contents = sub(text, from + 2, last - 1)
            if mark == OPEN then
                add(expression(contents, line, name))
            elseif mark == PERCENT then
                add(tag(contents, line, name))
            end
            line = line + newlines(contents)
            at = last + 2
        end
    end
end

return lexer
