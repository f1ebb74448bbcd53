-- C as an executor's thread sees it: what is pure is there, as are a few functions that need
-- nothing but the state's own handles; what needs the loop, the server or another thread's data
-- raises. Whatever takes the vm is of that kind unless it is named here. core.lua gives C to it.
local ALLOWED = {
    ct_abi_why = true, ct_abi_pulse = true, ct_abi_wall = true, ct_abi_monotonic = true,
    ct_abi_precise = true,
    ct_abi_log_level = true, ct_abi_folder = true, ct_abi_here = true,
    ct_abi_regex = true, ct_abi_regex_groups = true, ct_abi_regex_name = true,
    ct_abi_regex_match = true,
    ct_abi_digest_new = true, ct_abi_digest_update = true, ct_abi_digest_final = true,
}

local function refuse(name)
    local what = name:gsub("^ct_abi_", "")
    return function()
        error(("cannot wait on the thread pool: %s needs the loop"):format(what), 3)
    end
end

--- Takes the C library, the text of its declarations, a function(level, where, text) for the log;
-- returns what stands for the library.
return function(C, text, log)
    local to_string = require("ffi").string
    local out = {}

    function out.ct_abi_log(_, level, where, _, _, message, size)
        log(level, where, to_string(message, size))
    end

    return setmetatable(out, {
        __index = function(_, name)
            local needs_vm = text:find("%f[%w_]" .. name .. "%(ct_vm %*")
            local value = needs_vm and not ALLOWED[name] and refuse(name) or C[name]
            rawset(out, name, value)
            return value
        end,
    })
end
