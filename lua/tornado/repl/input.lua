-- Lines from standard input, without holding the loop: of a terminal with an editor, else as they
-- come.
local core = require "tornado.core"
local Editor = require "tornado.repl.editor"
local ioloop = require "tornado.ioloop"
local util = require "tornado.util"

local Input = util.Object:extend "Input"

--- Takes the lines of the history, and complete() as Editor does.
function Input:init(history, complete)
    self.is_terminal = core.terminal_columns() ~= nil
    self.editor = Editor(history, complete)
    self._rest, self._ended = "", false
end

local function wake(_, waiter)
    ioloop.wake(waiter)
end

-- Waits until there is something to read. A file of the disk always has, and cannot be watched.
local function await_input()
    local waiter = ioloop.waiter()
    local watched = pcall(ioloop.add_handler, 0, function(fd) wake(fd, waiter) end, ioloop.READ)
    if not watched then return end
    local ok, err = pcall(ioloop.wait, waiter)
    ioloop.remove_handler(0)
    if not ok then error(err, 0) end
end

local function read_input()
    await_input()
    return core.read_input()
end

local function show(self)
    io.write(self.editor:render(core.terminal_columns() or 80))
    io.flush()
end

local function edit(self)
    local editor = self.editor
    local bytes = ""
    while true do
        local done = editor:feed(bytes)
        show(self)
        if done then return done end
        bytes = read_input()
        if not bytes or bytes == "" then return "end" end
    end
end

local function read_terminal(self, prompt)
    self.editor:begin(prompt)
    core.terminal_raw(true)
    local ok, done = pcall(edit, self)
    core.terminal_raw(false)
    if not ok then error(done, 0) end
    io.write(done == "interrupt" and "^C\n" or "\n")
    if done == "line" then return self.editor:text() end
    return nil, done
end

local function read_plain(self)
    while true do
        local line, rest = self._rest:match("^([^\n]*)\n(.*)$")
        if line then
            self._rest = rest
            return line
        end
        if self._ended then
            line, self._rest = self._rest, ""
            if line ~= "" then return line end
            return nil, "end"
        end
        local bytes = read_input() or ""
        self._ended = bytes == ""
        self._rest = self._rest .. bytes
    end
end

--- Returns the next line without its end, or nil and "end" or "interrupt" (Ctrl-C). A terminal
-- shows the prompt before it.
function Input:read(prompt)
    if self.is_terminal then return read_terminal(self, prompt) end
    return read_plain(self)
end

return Input
