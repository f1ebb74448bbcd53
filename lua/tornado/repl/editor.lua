-- A line that is being typed: takes the bytes of keys as they come, and says what the terminal is
-- to show. Knows no terminal, so nothing here waits.
local util = require "tornado.util"

local Editor = util.Object:extend "Editor"

local MAX_HISTORY = 1000

--- Takes a list of earlier lines, and complete(text), which returns what the text up to the cursor
-- may be followed by: a list of endings.
function Editor:init(history, complete)
    self.history = history or {}
    self._complete = complete
    self._input = ""
end

-- A line is a list of characters (UTF-8), so that the cursor counts what is seen.
local function characters(text)
    local list = {}
    for char in text:gmatch "[%z\1-\127\192-\255][\128-\191]*" do list[#list + 1] = char end
    return list
end

--- Begins with an empty line behind a prompt. What was typed ahead stays.
function Editor:begin(prompt)
    self.prompt = prompt
    self._chars, self._at, self._entry, self._draft = {}, 0, #self.history + 1, ""
end

--- The line as it is now.
function Editor:text()
    return table.concat(self._chars)
end

local function set(self, text)
    self._chars = characters(text)
    self._at = #self._chars
end

--- Puts a line into the history, unless it is empty or the same again. Returns whether it did.
function Editor:remember(line)
    local history = self.history
    if not line:find "%S" or history[#history] == line then return false end
    history[#history + 1] = line
    if #history > MAX_HISTORY then table.remove(history, 1) end
    return true
end

-- What keys do ----------------------------------------------------------------------------

local keys = {}

local function browse(by)
    return function(self)
        local entry = self._entry + by
        if entry < 1 or entry > #self.history + 1 then return end
        if self._entry > #self.history then self._draft = self:text() end
        self._entry = entry
        set(self, self.history[entry] or self._draft)
    end
end

local function delete(self, from, to)
    for i = to, from, -1 do table.remove(self._chars, i) end
    self._at = from - 1
end

local function word_left(self)
    local at, chars = self._at, self._chars
    while at > 0 and not chars[at]:find "[%w_]" do at = at - 1 end
    while at > 0 and chars[at]:find "[%w_]" do at = at - 1 end
    return at
end

local function word_right(self)
    local at, chars = self._at, self._chars
    while at < #chars and not chars[at + 1]:find "[%w_]" do at = at + 1 end
    while at < #chars and chars[at + 1]:find "[%w_]" do at = at + 1 end
    return at
end

keys.up, keys.down = browse(-1), browse(1)
function keys.left(self) self._at = math.max(0, self._at - 1) end
function keys.right(self) self._at = math.min(#self._chars, self._at + 1) end
function keys.home(self) self._at = 0 end
keys["end"] = function(self) self._at = #self._chars end
function keys.word_left(self) self._at = word_left(self) end
function keys.word_right(self) self._at = word_right(self) end
function keys.backspace(self) if self._at > 0 then delete(self, self._at, self._at) end end
function keys.delete(self)
    if self._at < #self._chars then delete(self, self._at + 1, self._at + 1) end
end
function keys.delete_word(self) delete(self, word_left(self) + 1, self._at) end
function keys.delete_left(self) delete(self, 1, self._at) end
function keys.delete_right(self) delete(self, self._at + 1, #self._chars) end
function keys.clear(self) self.cleared = true end
function keys.enter() return "line" end
function keys.interrupt() return "interrupt" end
function keys.leave(self)
    if #self._chars == 0 then return "end" end
    keys.delete(self)
end

local function insert(self, text)
    for _, char in ipairs(characters(text)) do
        self._at = self._at + 1
        table.insert(self._chars, self._at, char)
    end
end

local function common(list)
    local prefix = list[1]
    for _, ending in ipairs(list) do
        while ending:sub(1, #prefix) ~= prefix do prefix = prefix:sub(1, -2) end
    end
    return prefix
end

-- Adds what all endings begin with; when that is nothing, they are to be shown.
function keys.complete(self)
    local before = table.concat(self._chars, "", 1, self._at)
    local list = self._complete and self._complete(before) or {}
    if #list == 0 then return end
    local more = common(list)
    insert(self, more)
    if more == "" then self.choices = list end
end

local CONTROL = {
    ["\1"] = "home", ["\2"] = "left", ["\3"] = "interrupt", ["\4"] = "leave", ["\5"] = "end",
    ["\6"] = "right", ["\8"] = "backspace", ["\9"] = "complete", ["\10"] = "enter",
    ["\11"] = "delete_right", ["\12"] = "clear", ["\13"] = "enter", ["\14"] = "down",
    ["\16"] = "up", ["\21"] = "delete_left", ["\23"] = "delete_word", ["\127"] = "backspace",
}

local ESCAPED = {
    ["[A"] = "up", ["[B"] = "down", ["[C"] = "right", ["[D"] = "left", ["[H"] = "home",
    ["[F"] = "end", ["[1~"] = "home", ["[3~"] = "delete", ["[4~"] = "end", ["[7~"] = "home",
    ["[8~"] = "end", ["OA"] = "up", ["OB"] = "down", ["OC"] = "right", ["OD"] = "left",
    ["OH"] = "home", ["OF"] = "end", ["[1;5C"] = "word_right", ["[1;5D"] = "word_left",
    ["b"] = "word_left", ["f"] = "word_right", ["\127"] = "delete_word",
}

-- How many bytes a character has that begins with this one.
local function length_of(byte)
    return byte < 0xC0 and 1 or byte < 0xE0 and 2 or byte < 0xF0 and 3 or 4
end

-- Takes a key off the input: its name, or the text to insert; nil when it has not come whole. Keys
-- that mean nothing here are "".
local function take_key(self)
    local input = self._input
    local first = input:sub(1, 1)
    if first == "" then return nil end
    local name, text, size = CONTROL[first], nil, 1
    if first == "\27" then
        local code = input:match("^\27(%[[%d;]*[^%d;])") or input:match("^\27(O.)") or
            input:match("^\27([^%[O])")
        if not code then return nil end
        name, size = ESCAPED[code], 1 + #code
    elseif not name and first:byte() >= 32 then
        size = length_of(first:byte())
        if #input < size then return nil end
        text = input:sub(1, size)
    end
    self._input = input:sub(size + 1)
    return name or "", text
end

--- Takes bytes that were typed. Returns "line" (its text is complete), "interrupt" (Ctrl-C), "end"
-- (Ctrl-D), or nil when more must be typed. What is behind stays for the next line.
function Editor:feed(bytes)
    self._input = self._input .. bytes
    while true do
        local name, text = take_key(self)
        if not name then return nil end
        if text then insert(self, text) end
        local done = keys[name] and keys[name](self)
        if done then return done end
    end
end

--- What shows the line on a terminal that wide, with the cursor in its place. Of a line that is too
-- long, the part around the cursor.
function Editor:render(columns)
    local room = math.max(8, columns - #self.prompt - 1)
    local first = math.max(1, self._at - room + 1)
    local last = math.min(#self._chars, first + room - 1)
    local out = "\r" .. self.prompt .. table.concat(self._chars, "", first, last) .. "\27[K\r"
    local right = #self.prompt + self._at - first + 1
    if self.cleared then
        out = "\27[H\27[2J" .. out
        self.cleared = false
    end
    if self.choices then
        local list = table.concat(self.choices, "  ", 1, math.min(40, #self.choices))
        out = "\n" .. list .. "\n" .. out
        self.choices = nil
    end
    return out .. (right > 0 and ("\27[%dC"):format(right) or "")
end

return Editor
