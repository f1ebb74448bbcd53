-- UI modules: parts of pages that are rendered by classes of their own, and bring scripts and
-- styles with them; and the functions that templates call as {{ name(...) }}, ui_methods.
local escape = require "tornado.escape"
local util = require "tornado.util"

local modules = {}

--- A property of a handler that has a method or a getter for it.
function modules.property(handler, name)
    local value = handler[name]
    if type(value) == "function" then return value(handler) end
    if value == nil and handler["get_" .. name] then return handler["get_" .. name](handler) end
    return value
end

-- UIModule -------------------------------------------------------------------------------

local UIModule = util.Object:extend "UIModule"
modules.UIModule = UIModule

--- Takes the handler; one module of a name serves all calls in it.
function UIModule:init(handler)
    self.handler, self.request, self.ui = handler, handler.request, modules.ui(handler)
    self.locale = modules.property(handler, "locale")
    self.current_user = modules.property(handler, "current_user")
end

--- Returns the module's text; gets what {% module Name(...) %} gives it. Must be replaced.
function UIModule:render()
    error(tostring(self.class) .. " must implement render()", 2)
end

local function nothing() end

--- Hooks: what to put into the page, once: script text, file or list of files, style text, file
-- or list of files, HTML for the head and for the body.
UIModule.embedded_javascript = nothing
UIModule.javascript_files = nothing
UIModule.embedded_css = nothing
UIModule.css_files = nothing
UIModule.html_head = nothing
UIModule.html_body = nothing

--- Renders a template of the handler; returns the text.
function UIModule:render_string(name, namespace)
    return self.handler:render_string(name, namespace)
end

-- Modules that are always there --------------------------------------------------------------

local Linkify = UIModule:extend "linkify"

function Linkify:render(text, options) -- luacheck: ignore 212/self
    return escape.linkify(text, options)
end

local XsrfForm = UIModule:extend "xsrf_form_html"

function XsrfForm:render()
    return self.handler:xsrf_form_html()
end

--- {% module Template("page.html", { name = value }) %}: a template as a module. Within it,
-- set_resources { css_files = ..., ... } does what a class's hooks do.
local TemplateModule = UIModule:extend "Template"
modules.TemplateModule = TemplateModule

local RESOURCES = {
    embedded_javascript = "\n", javascript_files = false, embedded_css = "\n", css_files = false,
    html_head = "", html_body = "",
}

function TemplateModule:init(handler)
    UIModule.init(self, handler)
    self.list, self.by_path = {}, {}
end

local function same(a, b)
    if type(a) ~= "table" or type(b) ~= "table" then return a == b end
    for key, value in pairs(a) do
        if not same(value, b[key]) then return false end
    end
    for key in pairs(b) do
        if a[key] == nil then return false end
    end
    return true
end

function TemplateModule:render(path, namespace)
    local values = {}
    for name, value in pairs(namespace or {}) do values[name] = value end
    function values.set_resources(resources)
        for name in pairs(resources) do
            if RESOURCES[name] == nil then error("set_resources: unknown name " .. name, 2) end
        end
        local known = self.by_path[path]
        if known and not same(known, resources) then
            error("set_resources called with different resources for the same template", 2)
        end
        if not known then
            self.by_path[path] = resources
            self.list[#self.list + 1] = resources
        end
        return ""
    end
    return self:render_string(path, values)
end

local function add(list, value)
    if type(value) == "table" then
        for _, item in ipairs(value) do list[#list + 1] = item end
    elseif value and value ~= "" then
        list[#list + 1] = value
    end
end

for name, separator in pairs(RESOURCES) do
    TemplateModule[name] = function(self)
        local found = {}
        for _, resources in ipairs(self.list) do add(found, resources[name]) end
        if not separator then return found end
        return table.concat(found, separator)
    end
end

local BUILT_IN = { linkify = Linkify, xsrf_form_html = XsrfForm, Template = TemplateModule }

-- The settings ui_modules and ui_methods ---------------------------------------------------------

-- Calls take(name, value) for all that a setting names: a table, a module's name, or a list.
local function each_of(setting, what, take)
    if type(setting) == "string" then setting = require(setting) end
    if type(setting) ~= "table" then
        error(("bad %s: expected table, module's name or a list of these, got %s"):format(what,
            type(setting)), 0)
    end
    for _, part in ipairs(setting) do each_of(part, what, take) end
    for name, value in pairs(setting) do
        if type(name) == "string" then take(name, value) end
    end
end

-- The application's { modules, methods }, made when first asked for.
local function settings_of(application)
    local ui = application._ui
    if ui then return ui end
    ui = { modules = {}, methods = {} }
    for name, class in pairs(BUILT_IN) do ui.modules[name] = class end
    each_of(application.settings.ui_modules or {}, "ui_modules", function(name, class)
        if type(class) == "table" and rawget(class, "class") == class and
            class.is_subclass == util.Object.is_subclass and class:is_subclass(UIModule) then
            ui.modules[name] = class
        end
    end)
    each_of(application.settings.ui_methods or {}, "ui_methods", function(name, fn)
        if name:find "^%l" and util.is_callable(fn) then ui.methods[name] = fn end
    end)
    application._ui = ui
    return ui
end

-- What a handler sees ----------------------------------------------------------------------------

local Modules = {}

-- modules.Name(...): makes the module at its first call in this handler.
function Modules.__index(self, name)
    local class = settings_of(self._handler.application).modules[name]
    if not class then error(("no UI module is named %s"):format(tostring(name)), 2) end
    local handler = self._handler
    local function render(...)
        local active = handler._active_modules
        if not active then
            active = {}
            handler._active_modules = active
        end
        local module = active[name]
        if not module then
            module = class(handler)
            active[name] = module
            active[#active + 1] = module
        end
        local text = module:render(...)
        return text
    end
    rawset(self, name, render)
    return render
end

--- The modules of a handler, by name.
function modules.of(handler)
    local found = handler._modules
    if not found then
        found = setmetatable({ _handler = handler }, Modules)
        handler._modules = found
    end
    return found
end

--- The ui_method of that name for a handler, or nil.
function modules.method(handler, name)
    local fn = settings_of(handler.application).methods[name]
    if fn then return function(...) return fn(handler, ...) end end
end

local Ui = {}

function Ui.__index(self, name)
    return modules.method(self._handler, name)
end

--- What a module has as `ui`: the ui_methods by name, and `modules`.
function modules.ui(handler)
    return setmetatable({ _handler = handler, modules = modules.of(handler) }, Ui)
end

return modules
