-- Function routes, { "GET /hello", function(handler) ... end }, and groups of rules. They are
-- made into rules for handler classes when the application is: the functions of one path are
-- the verbs of one class, so that a request costs no more than with a class.
local filters = require "tornado.web.filters"
local matchers = require "tornado.routing.matchers"
local RequestHandler = require "tornado.web.handler"
local rate_limit = require "tornado.web.rate_limit"
local routing = require "tornado.routing"
local util = require "tornado.util"

local app_error = util.app_error

local functions = {}

local FunctionHandler = RequestHandler:extend "FunctionHandler"
functions.FunctionHandler = FunctionHandler

-- What the function returns is written.
FunctionHandler._writes_result = true

local VERBS = {}
for _, method in ipairs(RequestHandler.SUPPORTED_METHODS) do VERBS[method] = method:lower() end

local Group = util.Object:extend "Group"

--- Rules under a path prefix, with filters around their handlers: group("/api", { before = ,
-- after = }, rules); the options may be left out. Returns an element for a list of rules.
function functions.group(prefix, options, rules)
    if rules == nil then options, rules = nil, options end
    if type(prefix) ~= "string" then
        error("bad prefix: expected string, got " .. type(prefix), 2)
    end
    if type(rules) ~= "table" then
        error("bad rules: expected a list, got " .. type(rules), 2)
    end
    local group = Group()
    group.prefix, group.rules = prefix, rules
    group.options = util.options(options, { before = util.NONE, after = util.NONE }, "group")
    filters.nest(nil, group.options)
    return group
end

-- "GET|POST /x" -> { "GET", "POST" }, "/x"; nil and the pattern when it names no method.
local function split(pattern)
    local words, path = pattern:match("^([A-Z|]+)%s+(.*)$")
    if not words then words, path = pattern:match("^([A-Z|]+)$"), "" end
    if not words then return nil, pattern end
    local methods = {}
    for word in words:gmatch("[^|]+") do
        if not VERBS[word] then
            app_error(("bad rule %q: the method %s is not supported"):format(pattern, word))
        end
        methods[#methods + 1] = word
    end
    return methods, path
end

local function enclosed(pattern)
    return pattern:find("|", 1, true) and "(?:" .. pattern .. ")" or pattern
end

local function join(prefix, pattern)
    if prefix == "" then return pattern end
    return enclosed(prefix) .. enclosed((pattern:gsub("^%^", "")))
end

-- Every function of a path has its own kwargs, at handler.kwargs.
local function initialize(self)
    self.kwargs = self._kwargs_of[self.request.method] or {}
end

local function add_kwargs(class, method, kwargs)
    if kwargs == nil then return end
    if type(kwargs) ~= "table" then
        app_error("bad kwargs: expected table or nil, got " .. type(kwargs))
    end
    if not rawget(class, "_kwargs_of") then
        class._kwargs_of, class.initialize = {}, initialize
    end
    class._kwargs_of[method] = kwargs
    if method == "GET" and not class._kwargs_of.HEAD then class._kwargs_of.HEAD = kwargs end
end

local function add_verbs(entry, methods, fn, kwargs)
    local class = entry.class
    for _, method in ipairs(methods) do
        if entry.methods[method] then
            app_error(("bad rule: %s %s has a function already"):format(method, entry.path))
        end
        entry.methods[method] = true
        class[VERBS[method]] = fn
        if method == "GET" and not entry.methods.HEAD then class.head = fn end
        add_kwargs(class, method, kwargs)
    end
end

-- One list of rules on its way into a router.
local Compiler = {}
Compiler.__index = Compiler

function Compiler:emit(path, target, kwargs, name, around)
    local why = type(target) == "table" and rate_limit.prepare(target, target.rate_limit)
    if why then app_error(why) end
    if kwargs ~= nil and type(kwargs) ~= "table" then
        app_error(('bad rule "%s": expected a table of kwargs, got %s'):format(path, type(kwargs)))
    end
    why = type(target) == "table" and target._bad_kwargs and target:_bad_kwargs(kwargs or {})
    if why then app_error(('bad rule "%s": %s'):format(path, why)) end
    local rule = routing.URLSpec(path, target, kwargs, name)
    rule.filters = around
    self.filtered = self.filtered or around ~= nil
    self.out[#self.out + 1] = rule
    return rule
end

function Compiler:add_function(methods, path, rule, around)
    local name = rule[4] or rule.name
    local entry = self.paths[path]
    if not entry then
        local class = FunctionHandler:extend(path)
        entry = { class = class, methods = {}, path = path, around = around, names = {} }
        self.paths[path] = entry
        self:emit(path, class, nil, name, around)
    elseif entry.around ~= around then
        app_error(("bad rule: the functions of %s are in groups with different filters"):format(
            path))
    elseif name and not entry.names[name] then
        self:emit(path, entry.class, nil, name, around) -- never reached: for reverse_url() alone
    end
    if name then entry.names[name] = true end
    add_verbs(entry, methods, rule[2], rule[3])
end

local function is_list(target)
    return type(target) == "table" and getmetatable(target) == nil
end

-- A rule { pattern, target, kwargs, name }.
function Compiler:add_plain(rule, prefix, around)
    local methods, path = split(rule[1])
    local target = rule[2]
    if methods and type(target) == "string" then target = util.import_object(target) end
    path = join(prefix, path)
    if type(target) == "function" then
        if not methods then
            app_error(('bad rule %q: a function needs its method, as in "GET %s"'):format(
                rule[1], rule[1]))
        end
        if path == "" then app_error(("bad rule %q: it has no path"):format(rule[1])) end
        return self:add_function(methods, path, { rule[1], target, rule[3], rule[4] or rule.name },
            around)
    end
    if methods then
        app_error(("bad rule %q: methods are for functions; a class has them as its verbs"):format(
            rule[1]))
    end
    if is_list(target) then
        local filtered
        target, filtered = functions.compile(target, around)
        self.filtered = self.filtered or filtered
    end
    self:emit(path, target, rule[3], rule[4] or rule.name, around)
end

function Compiler:add(rule, i, prefix, around)
    if util.isinstance(rule, Group) then
        self:add_all(rule.rules, prefix .. rule.prefix, filters.nest(around, rule.options))
    elseif type(rule) == "table" and type(rule[1]) == "string" and rule[2] ~= nil and
        #rule <= 4 then
        self:add_plain(rule, prefix, around)
    elseif type(rule) == "table" and type(rule[1]) == "string" and rule[2] == nil then
        matchers.refuse_rule(i, rule)
    elseif prefix ~= "" or around ~= self.around then
        app_error(("bad rule %d in a group: expected {pattern, target, kwargs, name}, "
            .. "got %s"):format(i, type(rule)))
    else
        self.out[#self.out + 1] = rule -- a Rule, or what the router refuses
    end
end

function Compiler:add_all(rules, prefix, around)
    for i = 1, #rules do self:add(rules[i], i, prefix, around) end
end

--- Takes a list of rules, functions and groups, and the filters around them (or nil). Returns
-- the rules for a Router, and whether any of them has filters.
function functions.compile(rules, around)
    if type(rules) ~= "table" then
        app_error("bad rules: expected a list, got " .. type(rules))
    end
    if getmetatable(rules) ~= nil and not util.isinstance(rules, Group) then return rules, false end
    local compiler = setmetatable({ out = {}, paths = {}, around = around, filtered = false },
        Compiler)
    if util.isinstance(rules, Group) then rules = { rules } end
    compiler:add_all(rules, "", around)
    return compiler.out, compiler.filtered
end

return functions
