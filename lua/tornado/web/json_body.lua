-- JSON bodies and schemas for handlers, and the answer to input that does not fit.
local accept = require "tornado.web.accept"
local errors = require "tornado.web.errors"
local escape = require "tornado.escape"
local RequestHandler = require "tornado.web.handler"
local util = require "tornado.util"

local InputError = errors.InputError

local json_body = {}

local function is_json(content_type)
    local kind = (content_type or ""):match("^%s*([^;%s]*)"):lower()
    return kind == "application/json" or kind:find("^application/[%w.!#$&^_-]+%+json$") ~= nil
end

local function parse(self)
    local text = self.request.body
    if text == "" then error(InputError(400, "Invalid JSON: the body is empty"), 0) end
    local ok, value = pcall(escape.json_decode, text)
    if ok then return value end
    if not util.isinstance(value, escape.JSONError) then error(value, 0) end
    local err = InputError(400, "Invalid JSON: " .. value.message:gsub("^json_decode: ", ""))
    err.offset = value.offset
    error(err, 0)
end

--- The JSON value of the body, parsed once. Bad JSON raises 400 with the reason and the offset;
-- a Content-Type other than JSON's raises 415, unless the options have force = true.
function RequestHandler:json(options)
    local value = self._json
    if value ~= nil then return value end
    options = util.options(options, { force = false }, "json")
    local content_type = self.request.headers:get("Content-Type")
    if not options.force and not is_json(content_type) then
        error(InputError(415, "expected a body of type application/json, got " ..
            (content_type and util.shown(content_type) or "none")), 0)
    end
    value = parse(self)
    self._json = value
    return value
end

local function check_schema(schema, method, level)
    if type(schema) ~= "table" or not schema[method] then
        error("bad schema: expected one of tornado.schema, got " .. type(schema), level + 1)
    end
end

local function refuse(faults)
    error(InputError(400, "Validation failed", faults), 0)
end

--- The JSON value of the body with a schema's defaults; takes a tornado.schema, and the options
-- of json(). What does not fit raises 400, which names every fault.
function RequestHandler:validate(schema, options)
    check_schema(schema, "check", 2)
    local value, faults = schema:check(self:json(options))
    if faults then refuse(faults) end
    return value
end

--- The arguments of query and body as a table; takes a schema.object. An array gets all values
-- of an argument, anything else the last one. What does not fit raises 400.
function RequestHandler:validate_arguments(schema)
    check_schema(schema, "check_arguments", 2)
    local sent = {}
    for name in pairs(self.request.arguments) do
        if name ~= "_xsrf" or schema.fields._xsrf then
            sent[self:decode_argument(name, "the name of an argument")] = true
        end
    end
    local value, faults = schema:check_arguments(sent, function(name)
        return self:get_arguments(name)
    end)
    if faults then refuse(faults) end
    return value
end

local function list_html(err)
    local out = { "<p>", escape.xhtml_escape(err.message), "</p>" }
    if not err.faults then return table.concat(out) end
    out[#out + 1] = "<ul>"
    for _, fault in ipairs(err.faults) do
        out[#out + 1] = "<li>" .. escape.xhtml_escape(fault.path .. ": " .. fault.message) ..
            "</li>"
    end
    out[#out + 1] = "</ul>"
    return table.concat(out)
end

--- For write_error(): writes an InputError as JSON, or as HTML when the client prefers that;
-- `title` is HTML.
function json_body.write_fault(handler, err, title)
    if accept.prefers_html(handler.request) then
        return handler:finish(("<html><title>%s</title><body>%s%s</body></html>"):format(title,
            title, list_html(err)))
    end
    handler:finish {
        error = err.message, offset = err.offset, faults = err.faults and escape.array(err.faults),
    }
end

return json_body
