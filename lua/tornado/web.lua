-- The web framework: a table of contents over web/*.lua, with Tornado's names.
local errors = require "tornado.web.errors"
local functions = require "tornado.web.functions"
local RequestHandler = require "tornado.web.handler"
require "tornado.web.body"
require "tornado.web.event_stream"
require "tornado.web.input"
require "tornado.web.language"
local modules = require "tornado.web.modules"
local output = require "tornado.web.output"
require "tornado.web.redirect"
require "tornado.web.render"
local security = require "tornado.web.security"
local handlers = require "tornado.web.handlers"
local routing = require "tornado.routing"
local signing = require "tornado.web.signing"

local web = {
    Application = require "tornado.web.app",
    ErrorHandler = output.ErrorHandler,
    FallbackHandler = handlers.FallbackHandler,
    Finish = errors.Finish,
    FunctionHandler = functions.FunctionHandler,
    group = functions.group,
    GZipContentEncoding = require "tornado.web.compress",
    HTTPError = errors.HTTPError,
    InputError = errors.InputError,
    MissingArgumentError = errors.MissingArgumentError,
    RedirectHandler = handlers.RedirectHandler,
    OutputTransform = require("tornado.web.transforms").OutputTransform,
    RequestHandler = RequestHandler,
    StaticFileHandler = require "tornado.web.static",
    TemplateModule = modules.TemplateModule,
    UIModule = modules.UIModule,
    URLSpec = routing.URLSpec,
    url = routing.URLSpec,
    addslash = handlers.addslash,
    authenticated = security.authenticated,
    rate_limit = require("tornado.web.rate_limit").filter,
    removeslash = handlers.removeslash,

    DEFAULT_SIGNED_VALUE_MIN_VERSION = signing.DEFAULT_SIGNED_VALUE_MIN_VERSION,
    DEFAULT_SIGNED_VALUE_VERSION = signing.DEFAULT_SIGNED_VALUE_VERSION,
    MAX_SUPPORTED_SIGNED_VALUE_VERSION = signing.MAX_SUPPORTED_SIGNED_VALUE_VERSION,
    MIN_SUPPORTED_SIGNED_VALUE_VERSION = signing.MIN_SUPPORTED_SIGNED_VALUE_VERSION,
    create_signed_value = signing.create_signed_value,
    decode_signed_value = signing.decode_signed_value,
    get_signature_key_version = signing.get_signature_key_version,
}

--- Makes a handler class get its request's body piece by piece, in data_received(chunk), after
-- prepare() and before the verb. Returns the class.
function web.stream_request_body(class)
    if type(class) ~= "table" or not class.is_subclass or
        not class:is_subclass(RequestHandler) then
        error("bad class: expected a RequestHandler", 2)
    end
    class._stream_request_body = true
    return class
end

return web
