-- Sites: a folder with app.lua that returns a web.Application; one or several,
-- chosen by host and by the beginning of the path.
local core = require "tornado.core"
local errors = require "tornado.ioloop.errors"
local files = require "tornado.autoreload.files"
local ioloop = require "tornado.ioloop"
local loading = require "tornado.loading"
local util = require "tornado.util"

local sites = {}

-- "app.lua:7": the line of its last statement, `return web.Application {...}`. That is a tail
-- call, so what is wrong with its arguments does not name the file, or only this framework's.
local function place_of_return(path)
    local number, last = 0, nil
    for line in io.lines(path) do
        number = number + 1
        if line:find "^return%f[%W]" then last = number end
    end
    return last and path .. ":" .. last or path
end

local function run_chunk(chunk, path)
    local ok, result, trace = ioloop.protect(chunk)
    if ok then return result end
    local why = tostring(result)
    if type(result) == "string" or util.isinstance(result, util.Error) then
        why = trace and errors.own_part(trace) or why
    end
    if why:find(path, 1, true) then return nil, why end
    local inner = why:match("^tornado/[%w_/]+%.lua:%d+: (.*)$")
    if not inner then return nil, path .. ": " .. why end
    return nil, place_of_return(path) .. ": " .. inner:gsub("\nstack traceback:.*", "")
end

local function describe(value)
    return type(value) == "table" and tostring(value.class or "a table") or type(value)
end

--- Loads the site in folder `path`. Returns its Application, or nil and the reason with
-- file:line, and true when it is the path that is wrong. Modules beside app.lua can be required.
-- The application's `path` is the folder, its `environment` has the globals of the site.
function sites.load(path)
    local file = path .. "/app.lua"
    files.note(file)
    files.note_tree(path, "code", "%.lua$")
    if core.file_kind(path) ~= "folder" then
        return nil, path .. ": no such site: expected a folder with app.lua", true
    end
    if core.file_kind(file) ~= "file" then
        return nil, file .. ": missing; it should return a web.Application", true
    end
    local chunk, why = loadfile(file)
    if not chunk then return nil, why end
    local app
    local env = loading.environment(path)
    app, why = run_chunk(setfenv(chunk, env), file)
    if why then return nil, why end
    if type(app) ~= "table" or not app.start_request then
        return nil, ("%s: expected it to return a web.Application, got %s"):format(file,
            describe(app))
    end
    app.path, app.environment = path, env
    loading.folders[#loading.folders + 1] = path
    return app
end

-- Several sites -----------------------------------------------------------------------

local Mounts = util.Object:extend "Mounts"

function Mounts:init()
    self.list = {}
end

local function is_under(path, prefix)
    if path:sub(1, #prefix) ~= prefix then return false end
    local next_byte = path:byte(#prefix + 1)
    return next_byte == nil or next_byte == 47
end

--- Gives a request to the first site that its host and path fit; longer prefixes come first.
function Mounts:start_request(request)
    local host
    for _, mount in ipairs(self.list) do
        if mount.host then host = host or request.host_name end
        if (not mount.host or mount.host == host) and
            (not mount.prefix or is_under(request.path, mount.prefix)) then
            if mount.prefix then
                request.query = request.query -- is found behind the path as it was sent
                local path = request.path:sub(#mount.prefix + 1)
                request.path = path == "" and "/" or path
            end
            return mount.app:start_request(request)
        end
    end
    return self.none:start_request(request)
end

local function order(a, b)
    if (a.host ~= nil) ~= (b.host ~= nil) then return a.host ~= nil end
    local an, bn = #(a.prefix or ""), #(b.prefix or "")
    if an ~= bn then return an > bn end
    return a.index < b.index
end

--- Loads all sites of the configuration; `place` ("ctornado.conf:7: ") is where the list stands.
-- Returns what a server needs, or nil and a list of reasons.
function sites.load_all(list, place)
    local mounts, reasons = Mounts(), {}
    for i, site in ipairs(list) do
        if type(site) == "string" then site = { path = site } end
        local app, why, is_path = sites.load(site.path)
        if app then
            app.prefix = site.prefix
            mounts.list[#mounts.list + 1] = {
                app = app, host = site.host and site.host:lower(), prefix = site.prefix, index = i,
            }
        else
            reasons[#reasons + 1] = (is_path and place or "") .. why
        end
    end
    if #reasons > 0 then return nil, reasons end
    local first = mounts.list[1]
    if #mounts.list == 1 and not first.host and not first.prefix then return first.app end
    table.sort(mounts.list, order)
    mounts.none = require("tornado.web").Application {}
    return mounts
end

return sites
