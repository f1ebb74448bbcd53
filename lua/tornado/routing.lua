-- Routing: rules tried in the order of registration, as in tornado.routing. Patterns
-- without regular expressions go to a hash, the others are PCRE2 and are tried only when
-- they come before the literal that was found; so most routes cost one look-up.
-- Knows paths and hosts, but no handlers: tornado.web drives it, or a server does directly.

local core = require "tornado.core"
local delegates = require "tornado.httputil.delegates"
local matchers = require "tornado.routing.matchers"
local util = require "tornado.util"

local find = string.find

local PathMatches, HostMatches, AnyMatches =
    matchers.PathMatches, matchers.HostMatches, matchers.AnyMatches

local routing = {}

routing.Matcher = matchers.Matcher
routing.PathMatches = PathMatches
routing.HostMatches = HostMatches
routing.AnyMatches = AnyMatches
routing.DefaultHostMatches = matchers.DefaultHostMatches

-- At most this many spellings of Host are remembered; peers choose them.
local MAX_HOSTS = 1000

--- A rule: when `matcher` matches, `target` (with `target_kwargs`) is responsible.
routing.Rule = util.Object:extend "Rule"
local Rule = routing.Rule

-- Whether a target takes requests whole: a function(request), or what has start_request().
local function is_delegate(target)
    if type(target) == "function" then return true end
    return type(target) == "table" and getmetatable(target) ~= nil and
        type(target.start_request) == "function"
end

local function init_rule(self, matcher, target, kwargs, name)
    if type(target) == "string" then target = util.import_object(target) end
    if target == nil then util.app_error("bad target: expected a handler, got nil") end
    if kwargs ~= nil and type(kwargs) ~= "table" then
        util.app_error("bad kwargs: expected table or nil, got " .. type(kwargs))
    end
    self.matcher = matcher
    self.target = target
    self.delegate = is_delegate(target)
    self.target_kwargs = kwargs or {}
    self.kwargs = kwargs
    self.name = name
end

--- Takes a matcher, a target (a class, function, Router, list of rules, or the dotted
--- name of one), its kwargs and a name for `reverse`.
function Rule:init(matcher, target, target_kwargs, name)
    init_rule(self, matcher, target, target_kwargs, name)
end

--- Gives a request to a target that is no handler class; returns the delegate that it may have.
function Rule:start_request(request)
    local target = self.target
    if type(target) ~= "function" then return target:start_request(request) end
    target(request)
end

-- What has a function(request) called when the server serves it.
local FunctionDelegate = delegates.HTTPMessageDelegate:extend "FunctionDelegate"

function FunctionDelegate:execute()
    self.target(self.request)
end

--- Returns the delegate of a target that is no handler class, or nil when it has none.
function Rule:find_handler(request)
    local target = self.target
    if type(target) == "function" then
        local delegate = FunctionDelegate()
        delegate.target, delegate.request = target, request
        return delegate
    end
    if target.find_handler then return target:find_handler(request) end
    return target:start_request(request)
end

--- Returns the path for these arguments; raises when the matcher cannot say.
function Rule:reverse(...)
    return self.matcher:reverse(...)
end

--- A rule from a path pattern to a handler class: URLSpec(pattern, handler, kwargs, name).
routing.URLSpec = Rule:extend "URLSpec"

--- As Rule, with the pattern in place of the matcher; raises for a bad pattern.
function routing.URLSpec:init(pattern, handler, kwargs, name)
    init_rule(self, PathMatches(pattern), handler, kwargs, name)
    self.regex = self.matcher.regex
    self.handler_class = self.target
end

-- What the application wrote as a rule -> Rule.
local function to_rule(pattern, target, kwargs, name)
    if util.isinstance(pattern, Rule) then return pattern end
    if util.isinstance(pattern, matchers.Matcher) then
        return Rule(pattern, target, kwargs, name)
    end
    return routing.URLSpec(pattern, target, kwargs, name)
end

--- An ordered set of rules: Router(), or Router(rules).
routing.Router = util.Object:extend "Router"
local Router = routing.Router

-- _literals: path -> the first rule for it; _tried: the rules that must be tried, in
-- order; _first_tried: the order of the first of these; has_hosts: whether find() may
-- look at its host.
function Router:init(rules)
    self.rules = {}
    self.has_hosts = false
    self._literals = {}
    self._tried = {}
    self._first_tried = math.huge
    self._names = {}
    self._hosts = false
    self._host_memo = false
    self._host_count = 0
    if rules ~= nil then self:add_rules(rules) end
end

-- Whether a target is a Router that only has rules. One with a find_handler() of its own is asked
-- that.
local function is_router(target)
    return util.isinstance(target, Router) and target.find_handler == Router.find_handler
end

local function asks(target)
    return util.isinstance(target, Router) and not is_router(target)
end

-- A list of rules stands for a Router of them.
local function as_target(target)
    if type(target) == "table" and getmetatable(target) == nil then return Router(target) end
    return target
end

local function remember_name(self, rule)
    if not rule.name then return end
    if self._names[rule.name] then
        require("tornado.log").app_log:warning(
            "Multiple handlers named %s; replacing previous value", rule.name)
    end
    self._names[rule.name] = rule
end

--- Adds a rule: a pattern (or matcher, or a whole Rule), its target, kwargs and name.
--- Returns the rule; raises at the application's line for a bad one.
function Router:add(pattern, target, kwargs, name)
    local rule = to_rule(pattern, target, kwargs, name)
    rule.target = as_target(rule.target)
    if is_router(rule.target) then rule.delegate = false end
    local nested = is_router(rule.target)
    local asked = asks(rule.target)
    local order = #self.rules + 1
    self.rules[order] = rule
    remember_name(self, rule)
    local literal = rule.matcher.literal
    if is_router(rule.target) or not util.isinstance(rule.matcher, PathMatches) then
        self.has_hosts = true
    end
    if literal and not nested and not asked then
        if not self._literals[literal] then
            self._literals[literal] = { rule = rule, order = order }
        end
    else
        local entry = { rule = rule, order = order, nested = nested, asked = asked }
        self._tried[#self._tried + 1] = entry
        if order < self._first_tried then self._first_tried = order end
    end
    return rule
end

--- Adds a list of rules, each a Rule or {pattern, target, kwargs, name}; the name may
--- also be a field, {pattern, target, name = "x"}.
function Router:add_rules(rules)
    if type(rules) ~= "table" then
        util.app_error("bad rules: expected a list, got " .. type(rules))
    end
    for i = 1, #rules do
        local rule = rules[i]
        if util.isinstance(rule, Rule) then
            self:add(rule)
        elseif type(rule) == "table" and #rule >= 2 and #rule <= 4 then
            self:add(rule[1], rule[2], rule[3], rule[4] or rule.name)
        else
            matchers.refuse_rule(i, rule)
        end
    end
end

--- Adds rules (a list or a Router) for hosts that match the pattern; they are tried
--- before the rules for all hosts. Returns the Router of these rules.
function Router:add_host(host_pattern, rules)
    local matcher = host_pattern
    if not util.isinstance(matcher, matchers.Matcher) then matcher = HostMatches(host_pattern) end
    local router = is_router(rules) and rules or Router(rules)
    self.has_hosts = true
    self._hosts = self._hosts or {}
    self._hosts[#self._hosts + 1] = { matcher = matcher, router = router }
    self._host_memo, self._host_count = {}, 0
    return router
end

-- The routers whose pattern matches `host` as it was sent.
local function routers_of(self, host)
    local known = self._host_memo[host]
    if known then return known end
    local list = {}
    for _, entry in ipairs(self._hosts) do
        if entry.matcher:match(nil, host) then list[#list + 1] = entry.router end
    end
    if self._host_count >= MAX_HOSTS then
        self._host_memo, self._host_count = {}, 0
    end
    self._host_memo[host] = list
    self._host_count = self._host_count + 1
    return list
end

-- The rule of a Router with a find_handler() of its own: it leads to the delegate.
local function ask(rule, request)
    if not request then return rule end
    local delegate = rule.target:find_handler(request)
    if not delegate then return nil end
    local function found() return delegate end
    return { delegate = true, start_request = found, find_handler = found, name = rule.name }
end

-- What the target of a rule that matches has for the path, which may be nothing.
local function enter(entry, path, host, args, request)
    if entry.nested then return entry.rule.target:find(path, host, request) end
    if entry.asked then return ask(entry.rule, request), nil end
    return entry.rule, args
end

-- Tries the rules before `limit` in order; a Router as target may find nothing.
local function try_rules(self, path, host, limit, request)
    local tried = self._tried
    for i = 1, #tried do
        local entry = tried[i]
        if entry.order > limit then return nil end
        local matched, args = entry.rule.matcher:match(path, host, request)
        if matched then
            local rule, found = enter(entry, path, host, args, request)
            if rule then return rule, found end
        end
    end
    return nil
end

local function find_in_hosts(self, path, host, request)
    local routers = routers_of(self, host or "")
    for i = 1, #routers do
        local rule, args = routers[i]:find(path, host, request)
        if rule then return rule, args end
    end
    return nil
end

-- The general case: the path may need its normal form, and rules must be tried.
local function find_slowly(self, path, host, request)
    if find(path, "%", 1, true) then path = matchers.normalize(path) end
    local literal = self._literals[path]
    local limit = literal and literal.order or math.huge
    if self._first_tried < limit then
        local rule, args = try_rules(self, path, host, limit, request)
        if rule then return rule, args end
    end
    if literal then return literal.rule, nil end
    return nil, nil
end

--- Takes a percent-encoded path and the Host as sent (or nil) and returns the first rule
--- that matches, and what its groups captured: nil for none, {n = count, ...} by position,
--- {named = {...}} by name. Returns nil when no rule matches. The request is for what asks for
--- more than its path and host: DefaultHostMatches, and Routers with a find_handler() of their own.
function Router:find(path, host, request)
    if self._hosts then
        local rule, args = find_in_hosts(self, path, host, request)
        if rule then return rule, args end
    end
    local literal = self._literals[path]
    if literal and literal.order < self._first_tried then return literal.rule, nil end
    return find_slowly(self, path, host, request)
end

--- Takes a rule's name and the arguments of its groups and returns the path, nil when no
--- rule has that name; raises "Cannot reverse url regex ..." and "required number of
--- arguments not found".
function Router:reverse(name, ...)
    for _, entry in ipairs(self._hosts or {}) do
        local path = entry.router:reverse(name, ...)
        if path then return path end
    end
    local rule = self._names[name]
    if rule then return rule:reverse(...) end
    for _, entry in ipairs(self._tried) do
        if is_router(entry.rule.target) then
            local path = entry.rule.target:reverse(name, ...)
            if path then return path end
        end
    end
    return nil
end

--- Tornado's name for `reverse`.
Router.reverse_url = Router.reverse

local function find_target(self, request)
    local rule = self:find(request.path, request.host, request)
    if rule and not rule.delegate then
        error("bad target: a handler class needs a web.Application around its rule", 0)
    end
    return rule
end

--- Returns the delegate (a HTTPMessageDelegate) of the rule that fits a request, or nil. A class
--- below Router may have one of its own, which decides by anything in the request.
function Router:find_handler(request)
    local rule = find_target(self, request)
    return rule and rule:find_handler(request)
end

--- Takes a request from an HTTPServer, whose application a Router may be, and gives it to the
--- target of the rule that fits: an application or a function(request). A bare 404 without one.
-- Returns the delegate of a target that has one.
function Router:start_request(request)
    if is_router(self) then
        local rule = find_target(self, request)
        if rule then return rule:start_request(request) end
    else
        local delegate = self:find_handler(request)
        if delegate then return delegate end
    end
    core.reply(request.handle, 404, "", "", "", 0, 0)
    require("tornado.httpserver").release(request)
end

-- Tornado: separate classes; here every Router has rules and can be reversed.
routing.RuleRouter, routing.ReversibleRuleRouter = Router, Router
routing.ReversibleRouter = Router

return routing
