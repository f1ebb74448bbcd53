-- Values of a wrong type: public functions say at the caller's line what they expected, and none
-- reaches C or an index of nil.
local escape = require "tornado.escape"
local httpclient = require "tornado.httpclient"
local httputil = require "tornado.httputil"
local locale = require "tornado.locale"
local log = require "tornado.log"
local options = require "tornado.options"
local template = require "tornado.template"
local testing = require "tornado.testing"
local web = require "tornado.web"

local english = locale.get("en")

-- Calls, and how what they raise begins behind the position.
local CASES = {
    { log.open_access, "bad path: expected string, got nil" },
    { log.open_access, "bad format: expected tornado, combined, json or auto, got 1", "", 1 },
    { log.enable_pretty_logging, "bad options: expected table, got nil" },
    { httputil.MultipartStream, "bad Content-Type: expected string, got nil" },
    { httputil.MultipartStream.feed, "bad self: expected MultipartStream, got nil" },
    { httputil.MultipartStream.feed, "bad self: expected MultipartStream, got table", {}, "x" },
    { httputil.HTTPFile, "bad fields: expected table, got nil" },
    { httputil.HTTPHeaders, "bad headers: expected {name, value} pairs, got number", { 1 } },
    { httputil.HTTPHeaders.parse, "bad headers: expected string, got nil" },
    { httputil.parse_multipart_form_data, "bad boundary: expected string, got nil" },
    { httputil.parse_multipart_form_data, "bad body: expected string, got nil", "x" },
    { httputil.parse_multipart_form_data, "bad arguments: expected table, got nil", "x", "y" },
    { httputil.parse_body_arguments, "bad Content-Type: expected string, got nil" },
    { httputil.parse_body_arguments, "bad body: expected string, got table", "x", {} },
    { httputil.parse_qs, "bad query: expected string, got nil" },
    { httputil.parse_qs, "bad arguments: expected table, got number", "a=1", 1 },
    { httputil.parse_cookie, "bad cookies: expected string, got table", {} },
    { httputil.parse_request_start_line, "bad start line: expected string, got nil" },
    { httputil.parse_response_start_line, "bad start line: expected string, got nil" },
    { httputil.split_host_and_port, "bad host: expected string, got nil" },
    { httputil.format_timestamp, "bad time: expected one of the years 1 to 9999, got inf", 1 / 0 },
    { httputil.url_concat, "bad URL: expected string, got table", {}, {} },
    { httputil.qs_to_qsl, "bad arguments: expected table, got nil" },
    { httputil.encode_username_password, "bad password: expected string, got nil", "x" },
    { httputil._parse_header, "bad header value: expected string, got nil" },
    { httputil._encode_header, "bad parameters: expected table, got number", "x", 1 },
    { httputil._parse_request_range, "bad range: expected string, got nil" },
    { httputil._get_content_range, "bad total: expected number, got nil", 1, 2 },
    { locale.load_translations, "bad directory: expected string, got nil" },
    { locale.load_gettext_translations, "bad directory: expected string, got nil" },
    { locale.load_gettext_translations, "bad domain: expected string, got nil", "/" },
    { locale.get, "bad code: expected string, got table", {} },
    { english.format_date, "bad date: expected one of the years 1 to 9999, got inf", english,
        1 / 0 },
    { english.format_day, "bad date: expected one of the years 1 to 9999, got -inf", english,
        -1 / 0 },
    { english.format_date, "bad gmt_offset: expected number, got string", english, 0,
        { gmt_offset = "x" } },
    { english.list, "bad parts: expected table, got nil", english },
    { escape.xhtml_escape, "bad value: expected string, got nil" },
    { escape.url_escape, "bad value: expected string, got table", {} },
    { escape.array, "bad value: expected table, got number", 1 },
    { escape.object, "bad value: expected table, got string", "x" },
    { options.define, "bad name: expected string, got nil" },
    { options.define, "define: bad options: expected table, got number", "wrong-option", 1 },
    { options.add_parse_callback, "bad callback: expected function, got nil" },
    { options.parse_command_line, "bad arguments: expected table, got number", 1 },
    { options.parse_command_line, "bad argument: expected string, got number", { 1 } },
    { options.parse_config_file, "bad path: expected string, got nil" },
    { options.OptionParser().print_help, "bad file: expected an open file, got string",
        options.options, "x" },
    { template.BaseLoader, "Loader: bad options: expected table, got number", 1 },
    { template.DictLoader, "Loader: bad options: expected table, got number", {}, 1 },
    { testing.connect, "bad address: expected string, got nil" },
}

local function call(case)
    local unused = case[1](case[3], case[4], case[5]) -- no tail call: this line is the caller's
    return unused
end

describe("a value of a wrong type", function()
    for i, case in ipairs(CASES) do
        it(("is named at the caller's line: %d, %s"):format(i, case[2]), function()
            local ok, err = pcall(call, case)
            assert.is_false(ok)
            assert.is_string(err)
            local text = err:match("wrong_arguments_spec%.lua:%d+: (.*)$")
            assert.equal(case[2], (text or err):sub(1, #case[2]))
            assert.is_truthy(text, err)
        end)
    end
end)

-- What a handler calls wrongly, and how what that raises begins behind the position.
local CALLS = {
    { "bad retry: expected", function(h) h:event_stream { retry = "x" } end },
    { 'event_stream: unknown option "nope"', function(h) h:event_stream { nope = 1 } end },
    { "bad url: expected string, got nil", function(h) h:redirect(nil) end },
    { "bad name: expected string, got nil", function(h) h:get_argument(nil) end },
    { "bad name: expected string, got nil", function(h) h:get_query_argument(nil) end },
    { "bad name: expected string, got table", function(h) h:get_body_argument({}) end },
    { "bad name: expected string, got nil", function(h) h:get_cookie(nil) end },
    { "bad name: expected string, got nil", function(h) h:reverse_url(nil) end },
    { "bad cookie name: expected", function(h) h:clear_cookie(nil) end },
    { 'cookie: unknown option "nope"', function(h) h:clear_cookie("a", { nope = 1 }) end },
    { "bad options: expected table", function(h) h:set_cookie("a", "b", 1) end },
    { "You must define the", function(h) h:set_signed_cookie("a", "b") end },
    { "You must define the", function(h) h:get_signed_cookie("a") end },
    { "bad template name: expected string", function(h) h:render(nil) end },
    { "bad template name: expected string", function(h) h:render_string(nil) end },
    { "bad namespace: expected table", function(h) h:render("x.html", 1) end },
    { "bad status: expected number, got string", function(h) h:send_error("x") end },
    { 'HTTPRequest: unknown option "nope"',
        function() httpclient.fetch("http://127.0.0.1:1/", { nope = 1 }) end },
    { 'HTTPRequest: unknown option "nope"',
        function() httpclient.AsyncHTTPClient():fetch("http://127.0.0.1:1/", { nope = 1 }) end },
    { 'HTTPRequest: unknown option "nope"',
        function() httpclient.HTTPRequest("http://127.0.0.1:1/", { nope = 1 }) end },
    { "bad request: expected URL", function() httpclient.fetch(1) end },
    { "bad options: expected table", function() httpclient.fetch("http://a/", 1) end },
    { "bad options: expected table", function() httpclient.AsyncHTTPClient(false) end },
    { "bad max_clients: expected number",
        function() httpclient.AsyncHTTPClient { max_clients = "x" } end },
}

describe("a handler's wrong call", function()
    it("is named at its line", function()
        local called = 0
        local Handler = web.RequestHandler:extend "Handler"
        function Handler:get()
            for _, case in ipairs(CALLS) do
                local ok, err = pcall(case[2], self)
                assert.is_false(ok, case[1])
                local line = debug.getinfo(case[2], "S").linedefined
                local at = ("wrong_arguments_spec.lua:%d: %s"):format(line, case[1])
                assert.is_truthy(tostring(err):find(at, 1, true), at .. "\n" .. tostring(err))
                called = called + 1
            end
        end
        testing.serve(web.Application { { "/", Handler } }):fetch("/")
        assert.equal(#CALLS, called)
    end)

    it("of an event stream is named at its line", function()
        local said = {}
        local Handler = web.RequestHandler:extend "Handler"
        function Handler:get()
            local stream = self:event_stream()
            for i, send in ipairs {
                function() stream:send("x", { nope = 1 }) end,
                function() stream:send("x", { id = {} }) end,
                function() stream:send(nil) end,
                function() stream:comment(1) end,
            } do
                local _, err = pcall(send)
                local line = debug.getinfo(send, "S").linedefined
                said[i] = err:match("wrong_arguments_spec%.lua:" .. line .. ": ([%w ]+)") or err
            end
            stream:close()
        end
        testing.serve(web.Application { { "/", Handler } }):fetch("/")
        assert.same({ "send", "bad id", "bad data", "bad comment" }, said)
    end)
end)
