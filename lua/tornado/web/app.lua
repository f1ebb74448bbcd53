-- Application: routes and settings, and what is done with each request.
local core = require "tornado.core"
local delegates = require "tornado.httputil.delegates"
local debug_page = require "tornado.web.debug_page"
local filters = require "tornado.web.filters"
local functions = require "tornado.web.functions"
local headers_policy = require "tornado.web.headers_policy"
local httpserver = require "tornado.httpserver"
local ioloop = require "tornado.ioloop"
local log = require "tornado.log"
local metrics = require "tornado.metrics"
local output = require "tornado.web.output"
local RequestHandler = require "tornado.web.handler"
local routing = require "tornado.routing"
local StaticFileHandler = require "tornado.web.static"
local transforms = require "tornado.web.transforms"
local util = require "tornado.util"

local rawget, setmetatable, type = rawget, setmetatable, type

local Application = util.Object:extend "Application"

local NO_ARGS = require("tornado.web.path_args").NONE
local NOT_FOUND = { status_code = 404 }

Application._add_script = false

local NO_FILTERS = { before = {}, after = {} }

-- What functions and groups are made of comes to the router as plain rules.
local function compile(self, rules)
    local compiled, filtered = functions.compile(rules, self._around)
    if filtered then self._filters = self._around or NO_FILTERS end
    return compiled
end

local HOOKS = { "on_start", "on_stop", "on_reload", "on_handover" }

-- Hooks stand beside the rules or among the settings, or are methods of a subclass.
local function take_hooks(self, handlers)
    for _, name in ipairs(HOOKS) do
        local fn = handlers and handlers[name] or self.settings[name]
        if fn ~= nil then
            if not util.is_callable(fn) then
                error(("bad %s: expected function, got %s"):format(name, type(fn)), 4)
            end
            self[name] = fn
        end
    end
end

--- Takes a list of rules { pattern, Handler, kwargs, name } (a fourth element, or `name =`, is
-- the route's name), and settings. A rule may also be { "GET /path", function(handler) ... end },
-- or a web.group(). Beside the rules, or among the settings, may be on_start and on_stop,
-- function(app): before the listeners open, where an error is one of loading, and when the last
-- request is over, for at most 10 seconds. Both may wait. And for a reload: on_reload(app) in the
-- old generation, as the last thing before the new one serves, which returns what on_handover(app,
-- state) gets there, before the first request: any Lua value without functions, as string.buffer
-- takes it, of at most 64 MiB.
-- Tornado: has no such hooks.
function Application:init(handlers, settings)
    if handlers ~= nil and type(handlers) ~= "table" then
        error("bad handlers: expected a list of rules, got " .. type(handlers), 3)
    end
    self.settings = settings or {}
    take_hooks(self, handlers)
    self.router = routing.Router()
    self.transforms = transforms.of(self.settings)
    self:apply_debug()
    local static = StaticFileHandler.rules_of(self.settings)
    if static then self.router:add_rules(static) end
    self._headers_policy = headers_policy.new(self.settings)
    self._around = filters.nest(nil, self.settings)
    self._filters = self._around or false
    self.router:add_rules(compile(self, handlers or {}))
end

--- Does what the setting debug stands for; to be called when it was set later. Tracebacks are for
-- clients of this machine then; serve_traceback that the application sets is for all.
function Application:apply_debug()
    local settings = self.settings
    if not settings.debug then return end
    if settings.serve_traceback == nil then
        settings.serve_traceback, self._local_traceback = true, true
    end
    if settings.static_hash_cache == nil then settings.static_hash_cache = false end
    if settings.serve_traceback then debug_page.enable() end
end

--- Adds a transform (a class with OutputTransform's methods) behind those that there are.
function Application:add_transform(class)
    self.transforms = transforms.add(self.transforms, class)
end

--- An application may be called as the function(request) of a server or a rule.
function Application:__call(request)
    local delegate = self:start_request(request)
    if delegate then httpserver.serve(request, delegate) end
end

--- Adds rules for a host pattern, before those for all hosts.
function Application:add_handlers(host_pattern, rules)
    self.router:add_host(host_pattern, compile(self, rules))
end

--- The path of a named route with its groups filled in; raises for an unknown name.
function Application:reverse_url(name, ...)
    util.expect(name, "string", "name")
    local url = self.router:reverse(name, ...)
    if url then return (self.prefix or "") .. url end
    error(name .. " not found in named urls", 2)
end

local METAMETHODS = { "__tostring", "__eq", "__lt", "__le", "__call", "__len", "__concat" }

-- Makes what the handlers of a class look their methods and defaults up in: one table of all that
-- it and the classes above it have. Walking up the classes costs a look-up each, in everything
-- that a handler does. It is made for the first request: later changes of a class are not seen.
local function flatten(class)
    local chain, flat = {}, {}
    local above = class
    while above do
        chain[#chain + 1] = above
        above = above.super
    end
    for i = #chain, 1, -1 do
        for name, value in pairs(chain[i]) do flat[name] = value end
    end
    if not flat._is_uncounted then flat._flags = metrics.handler_flag(class) end
    local meta = { __index = flat, constructs = flat.init ~= util.Object.init }
    for _, event in ipairs(METAMETHODS) do meta[event] = flat[event] end
    class._meta = meta
    return meta
end

local function new_handler(self, class, request, args)
    local meta = rawget(class, "_meta") or flatten(class)
    -- Eight fields fill a table of that size exactly; a ninth would double it.
    local handler = setmetatable({
        application = self,
        request = request,
        settings = self.settings,
        _content_type = meta.__index._content_type,
        _body = false,
        _verb = false,
        _finished = false,
        path_args = args or NO_ARGS,
    }, meta)
    if meta.constructs then handler:init(self, request) end
    return handler
end

-- What get_handler_delegate() returns: the server calls execute().
local HandlerDelegate = delegates.HTTPMessageDelegate:extend "HandlerDelegate"

--- The handler, which has not begun yet.
function HandlerDelegate:new_handler()
    local app = self._application
    local handler = new_handler(app, self.handler_class, self.request, self.path_args)
    if app._filters then handler._filters = self.filters or app._filters end
    return handler
end

function HandlerDelegate:execute()
    self:new_handler():_execute(self.handler_kwargs, self.path_args)
end

-- The class above the fields: `path_args` are those of the router ({ n =, ... } or { named = }).
local function delegate_for(self, request, class, kwargs, path_args)
    local delegate = HandlerDelegate()
    delegate._application, delegate.request = self, request
    delegate.handler_class, delegate.handler_kwargs = class, kwargs
    delegate.path_args = path_args
    return delegate
end

--- For find_handler() of a Router of one's own: a delegate that has `class` answer the request,
--- with `kwargs` for its initialize() and path_args (a list), or path_kwargs (a map), for its verb.
function Application:get_handler_delegate(request, class, kwargs, path_args, path_kwargs)
    if not util.isinstance(class, RequestHandler) then
        error("bad handler class: expected a RequestHandler, got " .. util.shown(class), 2)
    end
    local args
    if path_kwargs then
        args = { named = path_kwargs }
    elseif path_args and #path_args > 0 then
        args = { n = #path_args, unpack(path_args) }
    end
    local delegate = delegate_for(self, request, class, kwargs, args)
    return delegate
end

-- With the setting default_host, what no rule fits is tried as if it were for that host, unless it
-- comes through a proxy.
local function find_default(self, request)
    local host = self.settings.default_host
    if not host or not self.router._hosts or request.headers:get("X-Real-Ip") then return nil end
    return self.router:find(request.path, host)
end

local function default_handler(self)
    local settings = self.settings
    local class = settings.default_handler_class
    if class then return class, settings.default_handler_args end
    return output.ErrorHandler, NOT_FOUND
end

-- The rule for a request, and what its groups captured; nil when there is none.
local function find_rule(self, request)
    local router = self.router
    local rule, args = router:find(request.path, router.has_hosts and request.host, request)
    if not rule then return find_default(self, request) end
    return rule, args
end

--- Returns the delegate that would answer the request: of a handler, of the target of a rule, or
--- of the handler for what no rule fits.
function Application:find_handler(request)
    local rule, args = find_rule(self, request)
    if not rule then
        local class, kwargs = default_handler(self)
        return delegate_for(self, request, class, kwargs)
    end
    if rule.delegate then return rule:find_handler(request) end
    local delegate = delegate_for(self, request, rule.target, rule.target_kwargs, args)
    delegate.filters = rule.filters
    return delegate
end

--- Takes a request from the server and runs its handler, or returns the delegate of a rule whose
--- target has one.
function Application:start_request(request)
    local rule, args = find_rule(self, request)
    local class, kwargs
    if rule then
        if rule.delegate then return rule:start_request(request) end
        class, kwargs = rule.target, rule.target_kwargs
    else
        class, kwargs = default_handler(self)
    end
    local handler = new_handler(self, class, request, args)
    if self._filters then handler._filters = rule and rule.filters or self._filters end
    handler:_execute(kwargs, args)
end

-- An error in the log function must not keep on_finish from being called.
local function protected(log_function, handler)
    local ok, err, trace = ioloop.protect(log_function, handler)
    if ok then return end
    log.app_log:log(log.LEVELS.error, "Error in log_function: " .. (trace or tostring(err)),
        handler.request.id)
end

-- What the access log calls a request, and its trace: text has an id that somebody has asked for or
-- given, and no trace.
local function names_of(self, request)
    if not log.access_json then
        return self.settings.trust_request_id and request.id or rawget(request, "id") or "", ""
    end
    local trace = request.trace
    return request.id, trace and trace.trace_id or ""
end

--- Logs a finished request, by the setting log_function if there is one.
function Application:log_request(handler)
    local log_function = self.settings.log_function
    if log_function then return protected(log_function, handler) end
    if not Application.access_log then return end
    local request = handler.request
    local id, trace = names_of(self, request)
    core.request_log(request.handle, id, trace, rawget(request, "remote_ip") or "")
end

--- Listens on a port of an address (127.0.0.1), which may be left out; options are those of
-- httpserver.HTTPServer. Returns the HTTPServer.
function Application:listen(port, address, options)
    if type(address) == "table" then address, options = nil, address end
    local server = httpserver.HTTPServer(self, options)
    server:listen(port, address)
    return server
end

return Application
