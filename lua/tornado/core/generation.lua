-- The part of tornado.core that is generations: sites that are loaded beside those that serve.
local abi = require "tornado.abi"

local C, vm = abi.C, abi.state

local part = {}

--- Which generation of the sites this is: 1 for the first.
function part.generation()
    return C.ct_abi_generation(vm)
end

--- All is loaded: this generation shall serve.
function part.ready()
    C.ct_abi_ready(vm)
end

--- It cannot be loaded, and why; the one before it serves on.
function part.failed(text)
    C.ct_abi_failed(vm, text, #text)
end

--- Asks for the next generation.
function part.reload()
    C.ct_abi_reload(vm)
end

return part
