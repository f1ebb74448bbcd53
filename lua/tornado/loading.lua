-- `require` and `dofile` in Lua: LuaJIT's are C, which cannot be suspended, so that a module could
-- not wait while it is loaded.
local core = require "tornado.core"
local files = require "tornado.autoreload.files"
local ioloop = require "tornado.ioloop"
local util = require "tornado.util"

local coroutine_running, package_loaders = coroutine.running, package.loaders

local loading = {}

local blocked = {} -- coroutine -> { owner, waiters }: the module that it waits for

-- Returns whether to wait for a module would be to wait for oneself.
local function is_circular(entry, me)
    while entry do
        if entry.owner == me then return true end
        entry = blocked[entry.owner]
    end
    return false
end

-- Waits until another coroutine has loaded a module, or failed to.
local function wait_for(entry, name, me)
    if is_circular(entry, me) then
        error(("loop or previous error loading module '%s'"):format(name), 3)
    end
    local waiter = ioloop.waiter()
    entry.waiters[#entry.waiters + 1] = waiter
    blocked[me] = entry
    local ok, err = pcall(ioloop.wait, waiter)
    blocked[me] = nil
    if not ok then error(err, 0) end
end

-- Runs a module's chunk; whoever waits for it looks again behind it.
local function load(loaded, busy, chunk, name)
    local entry = { owner = coroutine_running(), waiters = {} }
    busy[name] = entry
    local ok, value, trace = ioloop.protect(chunk, name)
    busy[name] = nil
    for _, waiter in ipairs(entry.waiters) do ioloop.wake(waiter) end
    if not ok then
        loaded[name] = nil
        return ioloop.unwrap(false, value, trace)
    end
    if value ~= nil then
        loaded[name] = value
    elseif loaded[name] == nil then
        loaded[name] = true
    end
    return loaded[name]
end

--- Makes a `require` that keeps modules in the table `loaded`. find(name) returns a module's
-- chunk; or nil and why there is none; or nil, nil and where it has looked ("\n\tno file ..."), for
-- what otherwise(name, that) shall load. A module that is loaded by a coroutine which
-- waits is waited for by others that require it; one that requires itself is an error.
function loading.new(loaded, find, otherwise)
    local busy = {} -- name -> { owner, waiters }, while it is loaded
    return function(name, looked)
        if type(name) ~= "string" then
            error("bad module name: expected string, got " .. type(name), 2)
        end
        while busy[name] do
            wait_for(busy[name], name, coroutine_running())
        end
        local value = loaded[name]
        if value then return value end
        local chunk, why, here = find(name)
        if chunk then return (load(loaded, busy, chunk, name)) end
        if not why then return otherwise(name, here) end
        error(looked and why:gsub("\n", function(line) return looked .. line end, 1) or why, 2)
    end
end

-- " (did you mean 'tornado.web'?)", or "".
local function hint_for(name)
    local wanted, known = name:match "^tornado%.(.*)", {}
    if not wanted then return "" end
    for script in pairs(core.scripts()) do known[#known + 1] = script:match "^tornado%.(.*)" end
    table.sort(known)
    local near = util.nearest(wanted, known)
    return near and (" (did you mean 'tornado.%s'?)"):format(near) or ""
end

-- As Lua's own: asks each of package.loaders. Nil and the reason when none knows the module.
local function find_anywhere(name)
    local reasons = {}
    for _, loader in ipairs(package_loaders) do
        local ok, found = pcall(loader, name) -- a broken file's error names that, not this line
        if not ok then
            local broken = package.searchpath(name, package.path)
            if broken then files.note(broken) end
            error(found, 0)
        end
        if type(found) == "function" then
            files.note_chunk(found)
            return found
        end
        if type(found) == "string" then reasons[#reasons + 1] = found end
    end
    return nil, ("module '%s' not found%s:%s"):format(name, hint_for(name), table.concat(reasons))
end

loading.require = loading.new(package.loaded, find_anywhere)

-- Sites --------------------------------------------------------------------------------

--- Those of the sites that were loaded.
loading.folders = {}

-- The file of a module; or nil, and where it was looked for.
local function module_file(folder, name)
    local base = folder .. "/" .. name:gsub("%.", "/")
    for _, file in ipairs { base .. ".lua", base .. "/init.lua" } do
        if core.file_kind(file) == "file" then return file end
    end
    return nil, ("\n\tno file '%s.lua'\n\tno file '%s/init.lua'"):format(base, base)
end

local function refuse_global(_, name)
    error(('assignment to undeclared global "%s": make it local, or use rawset(_G, ...)'):format(
        tostring(name)), 2)
end

--- The globals of the site in that folder: what the language has, and a `require` that looks there
--- first. So two sites may have modules of the same name, and a global that is set by mistake,
--- which all requests would share, is an error.
function loading.environment(folder)
    local env, loaded = {}, {}
    for name, value in pairs(_G) do env[name] = value end
    env.require = loading.new(loaded, function(name)
        local file, looked = module_file(folder, name)
        if not file then return nil, nil, looked end
        files.note(file)
        local chunk, why = loadfile(file)
        if not chunk then error(why, 0) end
        return setfenv(chunk, env)
    end, require)
    return setmetatable(env, { __index = _G, __newindex = refuse_global })
end

--- The folder of the site that has a module: `first`, if that does, or the first that was loaded;
--- nil: none.
function loading.folder_of(name, first)
    if first and module_file(first, name) then return first end
    for _, folder in ipairs(loading.folders) do
        if module_file(folder, name) then return folder end
    end
end

-- Lua's own ----------------------------------------------------------------------------

--- As Lua's own: runs a file (nil: standard input) and returns what it does.
function loading.dofile(path)
    if path then files.note(path) end
    local chunk, why = loadfile(path)
    if not chunk then error(why, 0) end
    return chunk()
end

--- Puts both in the place of Lua's own, for all that is loaded from here on.
function loading.install()
    rawset(_G, "require", loading.require)
    rawset(_G, "dofile", loading.dofile)
end

return loading
