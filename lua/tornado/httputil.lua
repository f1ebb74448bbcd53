-- HTTP's data: headers, start lines, query strings, cookies, dates, requests, and the interfaces
-- of a server. A table of contents over httputil/*.lua with Tornado's names.

local delegates = require "tornado.httputil.delegates"
local errors = require "tornado.httputil.errors"
local lines = require "tornado.httputil.lines"
local params = require "tornado.httputil.params"
local cookies = require "tornado.httputil.cookies"
local multipart = require "tornado.httputil.multipart"
local query = require "tornado.httputil.query"

local httputil = {}

httputil.HTTPInputError = errors.HTTPInputError
httputil.StorageError = errors.StorageError
httputil.HTTPOutputError = errors.HTTPOutputError
httputil.responses = require "tornado.httputil.responses"
httputil.HTTPHeaders = require "tornado.httputil.headers"

httputil.parse_request_start_line = lines.parse_request_start_line
httputil.parse_response_start_line = lines.parse_response_start_line
httputil.format_timestamp = lines.format_timestamp
httputil.split_host_and_port = lines.split_host_and_port
httputil._parse_request_range = lines._parse_request_range
httputil._get_content_range = lines._get_content_range
httputil.encode_username_password = lines.encode_username_password

httputil._parse_header = params.parse
httputil._encode_header = params.encode

httputil.HTTPConnection = delegates.HTTPConnection
httputil.HTTPMessageDelegate = delegates.HTTPMessageDelegate
httputil.HTTPServerConnectionDelegate = delegates.HTTPServerConnectionDelegate
httputil.HTTPServerRequest = require "tornado.httputil.request"
httputil.RequestStartLine = delegates.RequestStartLine
httputil.ResponseStartLine = delegates.ResponseStartLine

httputil.parse_cookie = cookies.parse
httputil.format_cookie = cookies.format

httputil.HTTPFile = multipart.HTTPFile
httputil.MultipartStream = require "tornado.httputil.multipart_stream"
httputil.ParseBodyConfig = multipart.ParseBodyConfig
httputil.ParseMultipartConfig = multipart.ParseMultipartConfig
httputil.parse_multipart_form_data = multipart.parse_multipart_form_data
httputil.set_parse_body_config = multipart.set_parse_body_config

httputil.parse_qs = query.parse_qs
httputil.parse_body_arguments = query.parse_body_arguments
httputil.qs_to_qsl = query.qs_to_qsl
httputil.url_concat = query.url_concat

return httputil
