-- `ctornado routes`: what answers which path, in the order in which it is tried.
local escape = require "tornado.escape"
local matchers = require "tornado.routing.matchers"
local RequestHandler = require "tornado.web.handler"
local routing = require "tornado.routing"
local sites = require "tornado.sites"
local util = require "tornado.util"

local getinfo = debug.getinfo

local DONE, FAILED, USAGE = 0, 1, 2

local routes = {}

routes.options = { { "json", "boolean", false, "a list of objects, for programs" } }

-- Where things are --------------------------------------------------------------------------

local function place_of(fn)
    local info = getinfo(fn, "S")
    if info.what == "C" then return nil end
    return info.short_src .. ":" .. info.linedefined, info
end

-- A class begins where its first own function does; wrappers of the framework are none.
local function place_of_class(class)
    local best, least
    for name, fn in pairs(class) do
        if type(fn) == "function" and not name:find("^__") then
            local place, info = place_of(fn)
            local rank = place and info.linedefined + (info.source:find("^@tornado/") and 1e6 or 0)
            if rank and (not least or rank < least) then best, least = place, rank end
        end
    end
    return best
end

-- Its name and its place; one without a name is called by its place.
local function describe_class(class)
    local name = tostring(class)
    if name:find(":%d+$") then return "(no name)", name end
    return name, place_of_class(class)
end

local function place_of_target(target)
    if type(target) == "function" then return place_of(target) end
    return place_of_class(target.class or target)
end

-- Verbs -------------------------------------------------------------------------------------

-- A class's own: those that it has not from RequestHandler, which answers 405.
local function methods_of(class)
    local list = {}
    for _, method in ipairs(class.SUPPORTED_METHODS) do
        local verb = method:lower()
        if class[verb] ~= RequestHandler[verb] then list[#list + 1] = method end
    end
    return list
end

-- Methods that one function of a path answers, with its place; of a class, all of them.
local function answers_of(class)
    local functions = require "tornado.web.functions"
    local methods = methods_of(class)
    if class.super ~= functions.FunctionHandler then
        local name, place = describe_class(class)
        return { { methods = methods, handler = name, place = place } }
    end
    local list, by_function = {}, {}
    for _, method in ipairs(methods) do
        local fn = class[method:lower()]
        local entry = by_function[fn]
        if not entry then
            entry = { methods = {}, handler = "function", place = place_of(fn) }
            by_function[fn] = entry
            list[#list + 1] = entry
        end
        entry.methods[#entry.methods + 1] = method
    end
    return list
end

-- Rules -------------------------------------------------------------------------------------

local function pattern_of(matcher)
    if util.isinstance(matcher, routing.PathMatches) then return matcher.pattern end
    if util.isinstance(matcher, routing.AnyMatches) then return "(any)" end
    if util.isinstance(matcher, routing.HostMatches) then
        return "(host " .. tostring(matcher.pattern or matcher.regex) .. ")"
    end
    return "(" .. tostring(matcher.class) .. ")"
end

-- What of a rule's kwargs says where it leads.
local function detail_of(kwargs)
    local path, url = kwargs.path, kwargs.url
    return type(path) == "string" and path or type(url) == "string" and url or nil
end

local function add(rows, under, row)
    for name, value in pairs(under) do
        if row[name] == nil then row[name] = value end
    end
    rows[#rows + 1] = row
end

local add_router

local function add_target(rows, under, rule, pattern)
    local target, name = rule.target, rule.name
    if util.isinstance(target, RequestHandler) then
        for _, answer in ipairs(answers_of(target)) do
            answer.pattern, answer.name = pattern, name
            answer.detail = detail_of(rule.target_kwargs)
            add(rows, under, answer)
        end
        return
    end
    local kind = type(target) == "function" and "function(request)" or
        tostring(target.class or "delegate")
    add(rows, under, {
        pattern = pattern, name = name, handler = kind, methods = {},
        place = place_of_target(target),
    })
end

local function with(under, name, value)
    local out = util.ObjectDict(under)
    out[name] = out[name] and out[name] .. " " .. value or value
    return out
end

local function add_rule(rows, under, rule)
    local target, pattern = rule.target, pattern_of(rule.matcher)
    if not util.isinstance(target, routing.Router) or
        target.find_handler ~= routing.Router.find_handler then
        return add_target(rows, under, rule, pattern)
    end
    -- The rules of a Router inside of another match the whole path themselves.
    if util.isinstance(rule.matcher, routing.HostMatches) then
        return add_router(rows, with(under, "host", tostring(rule.matcher.pattern)), target)
    end
    add_router(rows, with(under, "within", pattern), target)
end

function add_router(rows, under, router)
    for _, entry in ipairs(router._hosts or {}) do
        local matcher = entry.matcher
        local host = util.isinstance(matcher, matchers.HostMatches) and
            tostring(matcher.pattern or matcher.regex) or pattern_of(matcher)
        add_router(rows, with(under, "host", host), entry.router)
    end
    for _, rule in ipairs(router.rules) do add_rule(rows, under, rule) end
end

local function add_app(rows, mount)
    local app = mount.app
    local under = { site = app.path, host = mount.host, prefix = mount.prefix }
    if util.isinstance(app.router, routing.Router) then add_router(rows, under, app.router) end
    local class = app.settings and app.settings.default_handler_class
    if not class then return end
    for _, answer in ipairs(answers_of(class)) do
        answer.pattern = "(all others)"
        add(rows, under, answer)
    end
end

--- The routes of what sites.load_all() returns: a list of { site, host, prefix, within = pattern
-- of a Router around, methods, pattern, handler = class, place = "FILE:LINE", detail = path or URL
-- that it leads to, name }, fields that say nothing being nil.
function routes.of(loaded)
    local rows = {}
    for _, mount in ipairs(loaded.list or { { app = loaded } }) do add_app(rows, mount) end
    return rows
end

-- Printing ----------------------------------------------------------------------------------

local FIELDS = { "site", "host", "prefix", "within", "pattern", "handler", "place", "detail",
    "name" }

local function to_json(rows)
    local list = {}
    for i, row in ipairs(rows) do
        local object = { methods = escape.array(row.methods) }
        for _, field in ipairs(FIELDS) do object[field] = row[field] end
        list[i] = object
    end
    return escape.json_encode(escape.array(list))
end

local function cells(row)
    local pattern = row.within and row.within .. " > " .. row.pattern or row.pattern
    return {
        #row.methods > 0 and table.concat(row.methods, "|") or "*", pattern,
        row.detail and row.handler .. " (" .. row.detail .. ")" or row.handler, row.place or "",
        row.name or "",
    }
end

local function heading(row)
    local words = { row.site }
    if row.host then words[#words + 1] = "host " .. row.host end
    if row.prefix then words[#words + 1] = "under " .. row.prefix end
    return table.concat(words, ", ") .. ":"
end

local function write_table(rows)
    local widths, lines = { 0, 0, 0, 0, 0 }, {}
    for i, row in ipairs(rows) do
        lines[i] = cells(row)
        for j, cell in ipairs(lines[i]) do widths[j] = math.max(widths[j], #cell) end
    end
    local before
    for i, row in ipairs(rows) do
        local head = heading(row)
        if head ~= before then print((before and "\n" or "") .. head) end
        before = head
        local line = ""
        for j, cell in ipairs(lines[i]) do
            line = line .. "  " .. cell .. (" "):rep(widths[j] - #cell)
        end
        print((line:gsub("%s+$", "")))
    end
end

--- Returns the exit code.
function routes.run(options, rest, own, fail)
    if #rest > 0 then
        fail(("routes takes no arguments, got %s; a site is named by --site=DIR"):format(rest[1]))
        return USAGE
    end
    if #options.sites == 0 then
        fail("no sites in " .. options.config .. " and no --site=DIR; ctornado new DIR makes one")
        return FAILED
    end
    local loaded, reasons = sites.load_all(options.sites)
    if not loaded then
        for _, reason in ipairs(reasons) do fail(reason) end
        return FAILED
    end
    local rows = routes.of(loaded)
    if own.json then print(to_json(rows)) else write_table(rows) end
    return DONE
end

return routes
