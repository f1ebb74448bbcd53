-- Small handlers and wrappers that send a request elsewhere. A path that came from the client
-- never becomes a Location that browsers take for another host ("//host").
local core = require "tornado.core"
local errors = require "tornado.web.errors"
local httpserver = require "tornado.httpserver"
local httputil = require "tornado.httputil"
local RequestHandler = require "tornado.web.handler"
local util = require "tornado.util"

local find, format, gsub = string.find, string.format, string.gsub
local HTTPError = errors.HTTPError

local MAX_ARGUMENTS = 1000

local handlers = {}

local function check_callable(fn)
    if not util.is_callable(fn) then
        error("bad method: expected function, got " .. type(fn), 3)
    end
end

-- Tornado: sends the client to "//host" when that is the path.
local function check_local(url)
    if find(url, "^/[/\\]") then
        error(HTTPError(403, "cannot redirect path with two initial slashes"), 0)
    end
end

-- Slashes --------------------------------------------------------------------------------

local function send_to_path(self, path)
    check_local(path)
    local request = self.request
    path = (self.application.prefix or "") .. path
    if request.query ~= "" then path = path .. "?" .. request.query end
    self:redirect(path, { permanent = true })
end

local function check_method(self)
    local method = self.request.method
    if method ~= "GET" and method ~= "HEAD" then error(HTTPError(404), 0) end
end

--- Wraps a verb so that a path without a slash at its end leads to the one with it (301; 404 for
-- other methods than GET and HEAD). The route needs "/?" at its end.
function handlers.addslash(fn)
    check_callable(fn)
    return function(self, ...)
        local path = self.request.path
        if find(path, "/$") then return fn(self, ...) end
        check_method(self)
        send_to_path(self, path .. "/")
    end
end

--- The reverse: slashes at the path's end go. "/" stays.
function handlers.removeslash(fn)
    check_callable(fn)
    return function(self, ...)
        local path = self.request.path
        if not find(path, "/$") then return fn(self, ...) end
        check_method(self)
        local shorter = gsub(path, "/+$", "")
        if shorter == "" then return fn(self, ...) end
        send_to_path(self, shorter)
    end
end

-- RedirectHandler ------------------------------------------------------------------------

--- Sends GET requests to `url`: { url =, permanent = true }. {0} in it stands for the route's
-- first group, {name} for a named one; the query is added to the url's own.
local RedirectHandler = RequestHandler:extend "RedirectHandler"
handlers.RedirectHandler = RedirectHandler

local OPTIONS = { url = util.NONE, permanent = true }

function RedirectHandler:initialize(kwargs)
    local options = util.options(kwargs, OPTIONS, "RedirectHandler")
    if type(options.url) ~= "string" then
        error("RedirectHandler: bad url: expected string, got " .. type(options.url), 0)
    end
    self._url, self._permanent = options.url, options.permanent
end

local function encode(char)
    return format("%%%02X", char:byte())
end

-- Groups come decoded; what cannot stand in a path is encoded again.
-- Tornado: puts them in as they are, so that "%3F" begins a query and "%0A" is a 500.
local function fill(url, args, named)
    return (gsub(url, "{([%w_]+)}", function(key)
        local index = tonumber(key)
        local value
        if index then value = args[index + 1] else value = named[key] end
        local known = index and index < (args.n or #args)
        if value == nil and not known then
            error(("RedirectHandler: the route has no group {%s} for %s"):format(key, url), 0)
        end
        return (gsub(value or "", "[^%w%-._~!$&'()*+,;=:@/]", encode))
    end))
end

local function add_query(url, query)
    local flat = core.form_pairs(query, MAX_ARGUMENTS)
    if not flat then error(HTTPError(400, "too many arguments"), 0) end
    local list = {}
    for i = 1, #flat, 2 do list[#list + 1] = { flat[i], flat[i + 1] } end
    return httputil.url_concat(url, list)
end

function RedirectHandler:get()
    local url = fill(self._url, self.path_args, self.path_kwargs)
    if not find(self._url, "^//") then check_local(url) end
    local query = self.request.query
    if query ~= "" then url = add_query(url, query) end
    self:redirect(url, { permanent = self._permanent })
end

-- FallbackHandler ------------------------------------------------------------------------

--- Gives the request to another application: { fallback = a web.Application, or a
-- function(request) that replies by itself and releases the request }.
local FallbackHandler = RequestHandler:extend "FallbackHandler"
handlers.FallbackHandler = FallbackHandler

function FallbackHandler:initialize(kwargs)
    local fallback = kwargs and kwargs.fallback
    if not util.is_callable(fallback) and
        (type(fallback) ~= "table" or not fallback.start_request) then
        error("FallbackHandler: bad fallback: expected web.Application or function, got " ..
            type(fallback), 0)
    end
    self.fallback = fallback
end

-- The request is another's from here on, and so is its release: what is left here is a view,
-- which httpserver does not take for the request.
local function leave(self, request)
    if request.delegate == self then request.delegate = false end
    self.request = setmetatable({}, { __index = request })
    self._finished = true
    self:on_finish()
end

function FallbackHandler:prepare()
    local request, fallback = self.request, self.fallback
    if type(fallback) == "table" and fallback.start_request then
        leave(self, request)
        -- Last, as what a handler raises unwinds this, too.
        local delegate = fallback:start_request(request)
        if delegate then httpserver.serve(request, delegate) end
        return
    end
    fallback(request)
    leave(self, request)
end

return handlers
