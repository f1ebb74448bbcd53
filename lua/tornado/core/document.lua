-- The part of tornado.core that is Markdown, and the framework's own source. It has C from
-- core.lua, which loads it.
local abi = require "tornado.abi"
local buffer = require "string.buffer"
local ffi = require "ffi"

local C, vm = abi.C, abi.state
local to_string = ffi.string

local document = {}

--- The HTML of Markdown; nil and why not.
function document.markdown(text)
    local html = buffer.new()
    local room = #text * 2 + 1024
    local n
    repeat
        local out, size = html:reserve(room)
        n = C.ct_abi_markdown(vm, text, #text, out, size)
        if n < 0 then return nil, to_string(C.ct_abi_why(vm)) end
        room = n
    until n <= size
    html:commit(n)
    return html:tostring()
end

local name, text = ffi.new("ct_str"), ffi.new("ct_str")

--- What is in the binary: a map from names of modules to their source, "ctornado.conf" and "abi.h"
-- to their text.
function document.scripts()
    local scripts, i = {}, 0
    while C.ct_abi_script(i, name, text) ~= 0 do
        scripts[to_string(name.p, name.n)] = to_string(text.p, text.n)
        i = i + 1
    end
    return scripts
end

return document
