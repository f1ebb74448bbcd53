-- Questions that come over the control socket for the Lua of a worker: a line, answered with "ok"
-- or "error", a newline and a text. control.lua asks them.
local generation = require "tornado.generation"
local ioloop = require "tornado.ioloop"
local IOStream = require("tornado.iostream").IOStream

local MAX_LINE = 256
local PATIENCE = 5 -- seconds, for the line to come, and for the answer to be taken

local questions = {}

-- profile SECONDS HZ
function questions.profile(stream, words)
    return require "tornado.profile.sampler"(stream, tonumber(words[2]), tonumber(words[3]))
end

-- Returns the answer's first word and its text.
local function answer_to(stream, line)
    local words = {}
    for word in line:gmatch "%S+" do words[#words + 1] = word end
    local fn = questions[words[1]]
    if not fn then return "error", "unknown question" end
    local ok, text, why = ioloop.protect(fn, stream, words)
    if not ok then return "error", tostring(text) end
    if not text then return "error", why end
    return "ok", text
end

local function converse(stream)
    local line = stream:read_until("\n", { max_bytes = MAX_LINE, timeout = PATIENCE })
    local word, text = answer_to(stream, line)
    if not stream:closed() then stream:write(word .. "\n" .. text, { timeout = PATIENCE }) end
end

local open = 0

generation.hold("questions", function() return open end)

--- Answers on a connection, whose descriptor it takes.
return function(descriptor)
    local stream = IOStream(descriptor)
    open = open + 1
    ioloop.protect(converse, stream) -- raises when the peer goes away
    open = open - 1
    stream:close()
end
