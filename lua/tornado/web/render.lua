-- RequestHandler: pages from templates, and what UI modules add to them.
local core = require "tornado.core"
local escape = require "tornado.escape"
local modules = require "tornado.web.modules"
local RequestHandler = require "tornado.web.handler"
local util = require "tornado.util"
local runtime = require "tornado.template.runtime"
local template = require "tornado.template"

local rawget, rawset, type = rawget, rawset, type
local property = modules.property

-- What templates see -----------------------------------------------------------------------

local function bound(name)
    return function(handler)
        local method = handler[name]
        return method and function(...) return method(handler, ...) end
    end
end

-- The message itself, without a locale.
local function translated(message, plural, count)
    if plural and count ~= 1 then return plural end
    return message
end

-- Made when a template first asks for them.
local LAZY = {
    current_user = function(handler) return property(handler, "current_user") end,
    locale = function(handler) return property(handler, "locale") end,
    static_url = bound "static_url",
    xsrf_form_html = bound "xsrf_form_html",
    modules = modules.of,
    _tt_modules = modules.of,
}

function LAZY.reverse_url(handler)
    return function(...) return handler.application:reverse_url(...) end
end

function LAZY._(handler)
    local locale = property(handler, "locale")
    if not locale then return translated end
    return function(...) return locale:translate(...) end
end

function LAZY.pgettext(handler)
    local locale = property(handler, "locale")
    if not locale then return function(_, ...) return translated(...) end end
    return function(...) return locale:pgettext(...) end
end

-- A site's modules are found by the `require` of its own code.
function LAZY.require(handler)
    local verb = handler[handler._verb or "get"]
    return type(verb) == "function" and getfenv(verb).require or require
end

local MAY_BE_NIL = { current_user = true, locale = true }

local Namespace = {}

function Namespace.__index(self, name)
    local handler = rawget(self, "_tt_handler")
    local make = LAZY[name]
    local value
    if make then value = make(handler) else value = modules.method(handler, name) end
    if value == nil then value = rawget(rawget(self, "_tt_names"), name) end
    if value == nil then value = rawget(_G, name) end
    if value ~= nil then
        rawset(self, name, value)
    elseif not MAY_BE_NIL[name] then
        error(("name '%s' is not defined"):format(tostring(name)), 2)
    end
    return value
end

--- Returns the names for the handler's templates: handler, request, current_user, locale, _,
-- pgettext, static_url, xsrf_form_html, reverse_url, modules, and the ui_methods. May be replaced,
-- to add to what this returns.
-- Tornado: makes all of them; here, each is made when a template asks for it.
function RequestHandler:get_template_namespace()
    return setmetatable({
        handler = self,
        request = self.request,
        _tt_handler = self,
        _tt_names = {},
    }, Namespace)
end

-- Where templates are ----------------------------------------------------------------------

local function is_ours(source)
    return source:sub(1, 1) ~= "@" or source:find "^@tornado/" ~= nil
end

--- Returns the folder of the handler's templates: the setting template_path, which may be
-- relative to the site's folder, or else the folder of the file that has the handler's verb.
function RequestHandler:get_template_path()
    local path, site = self.settings.template_path, self.application.path
    if path then
        local inside = site and path:sub(1, 1) ~= "/" and site .. "/" .. path
        if inside and core.file_kind(inside) == "folder" then return inside end
        return path
    end
    local verb = self[self._verb or "get"]
    local source = type(verb) == "function" and debug.getinfo(verb, "S").source or "="
    if is_ours(source) then return site or "." end
    return source:match "^@(.*)/" or "."
end

--- Returns the loader for a folder, which is kept: the setting template_loader, or a Loader with
-- the settings autoescape (false: off) and template_whitespace. May be replaced.
function RequestHandler:create_template_loader(path)
    local settings = self.settings
    if settings.template_loader then return settings.template_loader end
    return template.Loader(path, { autoescape = settings.autoescape,
        whitespace = settings.template_whitespace })
end

local function is_cached(settings)
    if settings.compiled_template_cache == nil then return not settings.debug end
    return settings.compiled_template_cache
end

local function loader_of(handler)
    local application = handler.application
    local loaders = application._template_loaders
    if not loaders then
        loaders = {}
        application._template_loaders = loaders
    end
    if not handler._templates_fresh and not is_cached(handler.settings) then
        for _, loader in pairs(loaders) do loader:reset() end
        handler._templates_fresh = true
    end
    local path = handler:get_template_path()
    local loader = loaders[path]
    if not loader then
        loader = handler:create_template_loader(path)
        loaders[path] = loader
    end
    return loader
end

-- Rendering --------------------------------------------------------------------------------

--- Renders a template with the names in `namespace` beside those of get_template_namespace();
-- returns the text.
function RequestHandler:render_string(name, namespace, level)
    util.expect(name, "string", "template name", level)
    if namespace ~= nil then util.expect(namespace, "table", "namespace", level) end
    local page = loader_of(self):load(name)
    local env = self:get_template_namespace()
    if getmetatable(env) ~= Namespace then
        local plain = env
        env = RequestHandler.get_template_namespace(self)
        for key, value in pairs(plain) do env[key] = value end
    end
    env._tt_names = page._names or runtime.names
    for key, value in pairs(namespace or {}) do env[key] = value end
    local text = page:_render(env)
    return text
end

local PARTS = { "embedded_javascript", "javascript_files", "embedded_css", "css_files",
    "html_head", "html_body" }

-- What the modules that were used want in the page, in the order of their first use.
local function resources_of(active)
    local found = {}
    for _, part in ipairs(PARTS) do
        local list = {}
        for _, module in ipairs(active) do
            local value = module[part](module)
            if type(value) == "table" then
                for _, item in ipairs(value) do list[#list + 1] = item end
            elseif value and value ~= "" then
                list[#list + 1] = value
            end
        end
        found[part] = #list > 0 and list
    end
    return found
end

-- Where the last `tag` begins; where the first does with `first`.
local function place_of(html, tag, first)
    local at = html:find(tag, 1, true)
    local next_at = at
    while next_at and not first do
        at = next_at
        next_at = html:find(tag, at + 1, true)
    end
    return at or error("a UI module needs " .. tag .. " in the page", 0)
end

local function insert(html, tag, first, text)
    local at = place_of(html, tag, first)
    return html:sub(1, at - 1) .. text .. "\n" .. html:sub(at)
end

local function add_resources(self, html)
    local found = resources_of(self._active_modules)
    if found.javascript_files then
        html = insert(html, "</body>", false, self:render_linked_js(found.javascript_files))
    end
    if found.embedded_javascript then
        html = insert(html, "</body>", false, self:render_embed_js(found.embedded_javascript))
    end
    if found.css_files then
        html = insert(html, "</head>", true, self:render_linked_css(found.css_files))
    end
    if found.embedded_css then
        html = insert(html, "</head>", true, self:render_embed_css(found.embedded_css))
    end
    if found.html_head then
        html = insert(html, "</head>", true, table.concat(found.html_head))
    end
    if found.html_body then
        html = insert(html, "</body>", true, table.concat(found.html_body))
    end
    return html
end

--- Renders a template as the reply, with what its UI modules need, and finishes. Returns what
-- finish() does.
function RequestHandler:render(name, namespace)
    if self._finished then error("Cannot render() after finish()", 2) end
    local html = self:render_string(name, namespace, 1)
    if self._active_modules then html = add_resources(self, html) end
    return self:finish(html)
end

-- ' nonce="..."', where the setting security_headers has a policy that needs it.
local function nonce(self)
    local policy = self.application._headers_policy
    if not policy or not policy.csp or self._headers_written then return "" end
    return ' nonce="' .. self:csp_nonce() .. '"'
end

-- Paths that are no absolute ones are of static files; each comes once.
local function links(self, paths, format)
    local out, seen = {}, {}
    for _, path in ipairs(paths) do
        if not path:find "^/" and not path:find "^https?:" then path = self:static_url(path) end
        if not seen[path] then
            seen[path] = true
            out[#out + 1] = format:format(escape.xhtml_escape(path), nonce(self))
        end
    end
    return table.concat(out)
end

--- The markup of linked scripts, with csp_nonce() where the setting security_headers has a
-- Content-Security-Policy; may be replaced, as the three below.
function RequestHandler:render_linked_js(paths)
    return links(self, paths, '<script src="%s" type="text/javascript"%s></script>')
end

--- The same of linked styles.
function RequestHandler:render_linked_css(paths)
    return links(self, paths, '<link href="%s" type="text/css" rel="stylesheet"%s/>')
end

--- The same of script text in the page.
function RequestHandler:render_embed_js(texts)
    return '<script type="text/javascript"' .. nonce(self) .. ">\n//<![CDATA[\n" ..
        table.concat(texts, "\n") .. "\n//]]>\n</script>"
end

--- The same of style text in the page.
function RequestHandler:render_embed_css(texts)
    return '<style type="text/css"' .. nonce(self) .. ">\n" .. table.concat(texts, "\n") ..
        "\n</style>"
end
