"""What the name of an exception type says, across Java, Python, .NET, Go, JavaScript and Rust.

`features.classify` asks here about ``error.type``, ``exception.type`` and types named inside messages.
A name is reduced to its stem first: the last segment in lower case without ``Exception`` or ``Error``,
so that TimeoutError, TimeoutException and requests.exceptions.Timeout are one entry.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["kind_of_type", "stem"]

_MAX_CHARS = 300

# Names that are the same in all languages, by stem.
_STEMS: dict[str, str] = {
    "timeout": "timeout timedout sockettimeout readtimeout writetimeout requesttimeout requesttimedout responsetimeout calltimeout"
    " deadlineexceeded querytimeout statementtimeout sqltimeout transactiontimeout timeoutexpired softtimelimitexceeded"
    " timelimitexceeded asynccalltimeout asynctimeout headerstimeout bodytimeout undheaderstimeout etimedout esockettimedout"
    " operationtimedout gatewaytimeout gatewaytimedout commandtimeout serverselectiontimeout asyncrequesttimeout networktimeout"
    " kafkatimeout msgtimedout elapsed undbodytimeout",
    "connect_timeout": "connecttimeout connectiontimeout httpconnecttimeout undconnecttimeout",
    "connection_refused": "connectionrefused econnrefused httphostconnect couldnotconnect connectfailed",
    "connection_reset": "connectionreset econnreset brokenpipe epipe clientabort connectionaborted connectionclosed connectionlost"
    " nohttpresponse remotedisconnected incompleteread remoteprotocol econnaborted eof unexpectedeof asynchronousclose"
    " prematureclose serverdisconnected closedchannel websocketdisconnect protocolconnectionlost undsocket streamreset"
    " closedconnection disconnect disconnected stacklessclosedchannel",
    "unreachable": "noroutetohost ehostunreach enetunreach hostunreachable networkunreachable portunreachable addrnotavail",
    "dns": "unknownhost gai nameresolution enotfound eaiagain dns unresolvedaddress clientconnectordns"
    " hostnotfound dnsresolver namelookup",
    "tls": "ssl sslhandshake sslpeerunverified sslprotocol sslcertverification certificateverification certificate certpathvalidator"
    " certificateexpired certificatenotyetvalid tls handshake unknownauthority hostname certificateinvalid sslcert"
    " suncertpathbuilder validator clientconnectorcertificate clientconnectorssl certhasexpired recordheader"
    " depthzeroselfsignedcert selfsignedcertinchain unabletoverifyleafsignature errtlscertaltnameinvalid sslwantread",
    "malformed_data": "jsondecode jsonparse jsonmappingfail jsonsyntax malformedjson unexpectedtoken parse parser dateparse"
    " datetimeparse xmlstream saxparse xmlsyntax yaml scanner httpmessagenotreadable invalidprotocolbuffer decode decoding"
    " unicodedecode unicodeencode unicode malformedinput malformedurl malformed syntax urisyntax numberformat format streamcorrupted"
    " invalidformat csv unmarshal marshal jsonreader json jsonparsing cborparse serialization deserialization"
    " serialize deserialize jsonprocessing messagebodyread messageconversion binascii base64 utf8 parseint parsefloat parsenum"
    " tomldecode expat invalidutf8 fromutf8 invalidmessage missingroot zipfile badzipfile recorddeserialization",
    "validation": "validation requestvalidation constraintviolation methodargumentnotvalid bind webexchangebind"
    " argumentnull argumentoutofrange invalidargument invalidinput missingservletrequestparameter badrequest"
    " methodargumenttypemismatch unsatisfiedservletrequestparameter zod modelvalidation schemavalidation"
    " invalidparameter fluentvalidation unprocessableentity unprocessablecontent missingrequestheader handlermethodvalidation"
    " invalidrequest invalidvalue badparameter outofrange",
    "schema_mismatch": "unrecognizedproperty invaliddefinition mismatchedinput invalidtypeid badsqlgrammar undefinedcolumn undefinedtable"
    " unknowncolumn nosuchcolumn nosuchtable columnnotfound avrotype schemaincompatible incompatibleschema programming analysis"
    " schemaregistry invalidschema schemaparse nosuchfielddefinition mapping undefinedfunction ambiguouscolumn",
    "integrity": "integrity foreignkeyviolation checkviolation notnullviolation dataintegrityviolation sqlintegrityconstraintviolation"
    " integrityconstraintviolation sequelizeforeignkeyconstraint restrictviolation exclusionviolation dbupdate"
    " transientobject transientpropertyvalue invaliddataaccess",
    "duplicate": "duplicatekey uniqueviolation alreadyexists duplicate duplicateentry fileexists entityexists filealreadyexists eexist"
    " sequelizeuniqueconstraint resourceexists mongobulkwrite nodeexists resourcealreadyexists uniqueconstraint topicexists",
    "not_found": "notfound doesnotexist objectdoesnotexist multipleobjectsreturned resourcenotfound entitynotfound nosuchelement"
    " emptyresultdataaccess nosuchkey nosuchbucket noresult noresultfound objectnotfound recordnotfound nohandlerfound noresourcefound"
    " missingresource itemnotfound rownotfound norows errnorows keynotfound nonode unknowntopicorpartition indexnotfound http404"
    " usernotfound usernamenotfound documentnotfound gone nosuchentity queuedoesnotexist nosuchupload jpaobjectretrievalfailure",
    "too_large": "maxuploadsizeexceeded requestentitytoolarge payloadtoolarge contenttoolarge recordtoolarge messagetoolarge"
    " messagesizetoolarge toolongframe sizelimitexceeded filesizelimitexceeded requesttoolarge packettoobig"
    " bodytoolarge stringdatarighttruncation datatruncation datatoolong valuetoolong httprequestheaderfieldstoolarge documenttoolarge",
    "data_loss": "dataloss corruptrecord corrupted corruption checksum corruptindex logcorruption databasecorrupt badchecksum"
    " offsetoutofrange corruptedfile crcmismatch corruptdata",
    "bad_configuration": "configuration config improperlyconfigured bean beancreation nosuchbeandefinition unsatisfieddependency"
    " beandefinitionstore invalidconfiguration configurationerrors options optionsvalidation missingenv nosection"
    " nooption configurationproperties configdata invalidconfigurationproperty settings propertyreference illegalconfiguration"
    " beaninstantiation invalidsetting nouniquebeandefinition configurationpropertiesbind",
    "missing_secret": "nocredentials missingcredentials partialcredentials credentialsprovider secretnotfound missingsecret"
    " credentialsnotfound missingauthenticationtoken nosuchsecret defaultcredentials credentialunavailable missingapikey"
    " credentialretrieval keystore unrecoverablekey invalidkey",
    "missing_module": "modulenotfound import classnotfound noclassdeffound filenotfoundassembly unsatisfiedlink dllnotfound"
    " errmodulenotfound fileload badimageformat typeload typeinitialization exceptionininitializer",
    "null_reference": "nullpointer nullreference attribute nildereference uninitializedpropertyaccess unboundlocal name npe reference"
    " kotlinnullpointer undefined",
    "out_of_bounds": "indexoutofbounds arrayindexoutofbounds stringindexoutofbounds indexoutofrange index key bounds lookup stopiteration"
    " bufferunderflow bufferoverflow inputmismatch negativearraysize stopasynciteration arraystore",
    "type_error": "classcast invalidcast typeassertion typemismatch incompatibletype",
    "arithmetic": "arithmetic zerodivision dividebyzero overflow floatingpoint decimal invalidoperationdecimal notfinitenumber",
    "assertion": "assertion assert assertionfailed comparisonfailure errassertion unreachablecode expectationfailed",
    "illegal_state": "objectdisposed invalidstate illegalmonitorstate illegalthreadstate"
    " unsupportedstate invalidsession failedprecondition lazyinitialization illegaltransactionstate detachedinstance",
    "stack_overflow": "stackoverflow recursion maximumcallstack insufficientexecutionstack",
    "message_failed": "listenerexecutionfailed messagehandling messagedelivery messagerejected ambiguousmessage consume listener"
    " amqprejectanddontrequeue messageprocessing",
    "job_failed": "jobexecution jobfailed taskfailed workflowfailed activityfailure workflowexecution airflow calledprocess batchjob"
    " sparkjob dagrun activity childworkflow airflowfail",
    "cancelled": "cancelled canceled cancellation operationcanceled operationcancelled taskcanceled taskcancelled abort"
    " asynccancelled jobcancellation contextcanceled querycanceled ecanceled clientclosedrequest keyboardinterrupt requestaborted"
    " errcanceled interrupted threadinterrupted closedbyinterrupt",
    "export_failed": "export exporter spanexport metricexport otlpexporter flush reportgeneration upload",
    "pipeline_failed": "kafkaproducer kafkastorage producerfenced publish nack notenoughreplicas notenoughreplicasafterappend commitfailed"
    " streams pipeline outofordersequence unknownproducerid producer",
    "overload": "overload overloaded backpressure queuefull full rejectedexecution taskrejected queueoverflow"
    " bulkheadfull concurrencylimitexceeded bufferexhausted missingbackpressure toomanypendingrequests esrejectedexecution serveroverloaded"
    " circuitbreaking slowdown mailboxfull serveroverload",
    "deadlock": "deadlock deadlockdetected deadlocklosersdataaccess deadlockloserdataaccess",
    "lock_timeout": "locktimeout lockwaittimeout cannotacquirelock pessimisticlock pessimisticlocking locknotavailable lockacquisition"
    " locked databaselocked lockobtainfailed resourcebusy distributedlock lockobtain",
    "race": "concurrentmodification race datarace concurrentoperation bufferrace poison",
    "conflict": "optimisticlock optimisticlocking staleobjectstate objectoptimisticlockingfailure dbupdateconcurrency staledata conflict"
    " serializationfailure versionconflict versionconflictengine conditionalcheckfailed transactionconflict writeconflict aborted"
    " transactionaborted concurrencyfailure transactioncanceled preconditionfailed badversion revisionconflict transactionconflicted"
    " cannotserializetransaction concurrency",
    "out_of_memory": "outofmemory memory oom heapspace insufficientmemory enomem alloc outofdirectmemory cudaoutofmemory memorylimit",
    "disk_full": "diskfull enospc nospaceleft insufficientstorage edquot nospace storagefull diskquotaexceeded",
    "pool_exhausted": "connectionpooltimeout poolexhausted connectionpoolexhausted pooltimeout"
    " sqltransientconnection cannotgetjdbcconnection toomanyconnections connectionpool clientpooltimeout threadpoolexhausted"
    " jedisexhaustedpool waitqueuetimeout pooltimedout getconnectiontimeout toomanyclients emptypool connectionrequesttimeout"
    " poolacquiretimeout acquiretimeout mongowaitqueuefull sequelizeconnectionacquiretimeout",
    "handle_exhaustion": "emfile enfile toomanyopenfiles eaddrnotavail eagain cantstartnewthread",
    "rate_limited": "ratelimit ratelimited ratelimitexceeded toomanyrequests throttling throttled throttle requestlimitexceeded"
    " requestthrottled provisionedthroughputexceeded requestnotpermitted floodwait"
    " apithrottling throttledrequest http429",
    "quota_exceeded": "quotaexceeded quota limitexceeded servicequotaexceeded resourceexhausted insufficientquota usagelimit",
    "version_mismatch": "unsupportedclassversion unsupportedversion versionmismatch invalidversion versionnotsupported"
    " incompatibleversion grpcversion protocolversion unsupportedprotocol upgraderequired",
    "api_incompatible": "nosuchmethod nosuchfield abstractmethod incompatibleclasschange missingmethod missingfield linkage"
    " methodnotallowed httprequestmethodnotsupported missingmember invalidclass verify illegalaccess beannotofrequiredtype",
    "unsupported": "notimplemented unsupportedoperation notsupported unimplemented unsupported unsupportedencoding featurenotsupported"
    " nosuchprovider nosuchalgorithm unsupportedcallback platformnotsupported sqlfeaturenotsupported unknownservice",
    "unsupported_format": "unsupportedmediatype httpmediatypenotsupported httpmediatypenotacceptable unsupportedformat"
    " unsupportedaudiofile unidentifiedimage notacceptable unsupportedcharset illegalcharset unknownformat",
    "crash": "panic systemexit coredump segfault segmentationfault accessviolation virtualmachine internalvm sigsegv sigabrt"
    " brokenprocesspool workerlost unhandledpanic brokenexecutor errworkerout",
    "killed": "sigkill sigterm oomkilled terminated evicted workerkilled preempted workerterminate",
    "shutdown": "shutdown closing servershuttingdown wakeup executorshutdown poolclosed applicationshutdown drain shuttingdown"
    " adminshutdown poolisclosed",
    "start_failed": "applicationstartup portinuse eaddrinuse applicationcontext startup webserver lifespan initialization",
    "file_missing": "filenotfound nosuchfile enoent directorynotfound notadirectory enotdir notdirectory pathnotfound drivenotfound",
    "business_rule": "businessrule business businessrules domain businessvalidation rule policyviolation notallowed"
    " orderstatus invalidorderstate ineligible notpermitted invalidtransition bookingclosed limitreached coupon",
    "payment_declined": "paymentdeclined carddeclined insufficientfunds paymentrequired insufficientbalance paymentfailed payment card"
    " insufficientcredit paymentrefused creditlimitexceeded",
    "out_of_stock": "outofstock insufficientstock soldout inventoryshortage notenoughstock nostock noseats overbooked insufficientinventory",
    "unauthenticated": "unauthorized unauthenticated authentication authenticationfailed notauthenticated badcredentials failedlogin login"
    " invalidcredentials authenticationcredentialsnotfound invalidpassword auth saslauthentication loginfailed noauth"
    " authenticationrequired signaturedoesnotmatch unrecognizedclient invalidclienttokenid accountlocked disabled"
    " wrongpassword insufficientauthentication jwt invalidtoken jwtverification malformedjwt invalidsignature"
    " jsonwebtoken invalidauthorizationspecification",
    "token_expired": "tokenexpired expiredtoken expiredjwt sessionexpired credentialsexpired expiredsignature tokenrefresh"
    " securitytokenexpired requestexpired invalidgrant",
    "permission_denied": "accessdenied permission permissiondenied forbidden security eacces eperm unauthorizedaccess insufficientprivilege"
    " notauthorized topicauthorization clusterauthorization groupauthorization authorization authorizationdenied accesscontrol"
    " insufficientpermissions policydenied http403",
    "attack_blocked": "csrf invalidcsrftoken missingcsrftoken csrfviewfailure suspiciousoperation disallowedhost requestrejected"
    " suspiciousfileoperation bannedip forgery antiforgery antiforgeryvalidation intrusion honeypot",
    "dependency_unavailable": "serviceunavailable unavailable noservers nohostavailable noavailablebrokers brokernotavailable mongoserverselection"
    " noavailableinstances allnodesfailed serverselection servicenotfound leadernotavailable nohealthyupstream nobrokersavailable"
    " mongonetwork mongonotprimary redisconnection redisconnectionfailure elasticsearchconnection nodenotavailable"
    " coordinatornotavailable notcoordinator notleaderorfollower notleaderforpartition connectiondoesnotexist endpointnotfound"
    " unavailableshards communicationslink mongosocketopen amqpconnection amqpconnect datacenterunavailable noinstanceavailable clusterdown"
    " consulunavailable nonodeavailable sequelizeconnectionrefused dependencyunavailable hostnotavailable",
    "bad_upstream_response": "badgateway contenttype baddata unknowncontenttype badstatusline responsestatus upstream"
    " invalidresponse unexpectedresponse badresponse clientpayload soapfault badhttpresponse webfault contentdecoding webserviceio"
    " unknownhttpstatuscode unexpectedstatus httpstatus dependencyfailed faileddependency",
    "circuit_open": "callnotpermitted circuitbreakeropen brokencircuit circuitopen circuitbreaker hystrixruntime isolatedcircuit"
    " eopenbreaker openbreaker",
    "read_only": "readonly readonlysqltransaction notwritableprimary notwriteable notprimary readonlyreplica clusterblock erofs"
    " readonlyfilesystem",
}

# Names whose last segment alone would mislead, in lower case.
_FULL: dict[str, str] = {
    "concurrent.futures._base.timeouterror": "timeout",
    "sqlalchemy.exc.timeouterror": "pool_exhausted",
    "sqlalchemy.exc.dataerror": "validation",
    "sqlalchemy.exc.statementerror": "schema_mismatch",
    "java.net.bindexception": "start_failed",
    "queue.empty": "timeout",
    "context.deadlineexceedederror": "timeout",
    "net.dnserror": "dns",
    "net.addrerror": "validation",
    "json.syntaxerror": "malformed_data",
    "json.unmarshaltypeerror": "schema_mismatch",
    "strconv.numerror": "malformed_data",
    "exec.exiterror": "job_failed",
    "x509.hostnameerror": "tls",
    "runtime.boundserror": "out_of_bounds",
    "runtime.typeassertionerror": "type_error",
    "runtime.plainerror": "crash",
    "java.util.concurrent.timeoutexception": "timeout",
    "kafka.errors.recordtoolarge": "too_large",
    "javax.naming.namenotfoundexception": "bad_configuration",
    "org.springframework.transaction.cannotcreatetransactionexception": "dependency_unavailable",
    "com.mongodb.mongowriteexception": "integrity",
    "io.lettuce.core.rediscommandtimeoutexception": "timeout",
    "django.core.exceptions.fielderror": "schema_mismatch",
    "django.db.utils.programmingerror": "schema_mismatch",
    "jwt.exceptions.decodeerror": "unauthenticated",
    "openai.apitimeouterror": "timeout",
    "core::num::parseinterror": "malformed_data",
    "tokio::time::error::elapsed": "timeout",
    "serde_json::error": "malformed_data",
    "std::sync::poisonerror": "race",
    "asyncpg.exceptions.cannotconnectnowerror": "dependency_unavailable",
}

# Names that say where it failed, not what: other evidence goes first, and this is what remains.
_WEAK: dict[str, str] = {
    "network": "socket connection op connect clientconnector apiconnection request mongosocketread mongosocketwrite fetch axios",
    "io_error": "io os uncheckedio filesystem file path",
    "crash": "fatal",
    "internal_error": "internalserver internal grpcinternal servletrequestprocessing",
    "bad_upstream_response": "httpserver httpresponse restclient restclientresponse webclientresponse feign feignserver httprequest"
    " apiresponse clientresponse resourceaccess api apistatus web",
    "validation": "httpclient feignclient client value illegalargument argument range",
    "type_error": "type",
    "illegal_state": "illegalstate invalidoperation",
    "dependency_unavailable": "operational interface database mongo redis rediscommand amqp kafka elasticsearch jdbc jdbcconnection"
    " genericjdbc sqlnontransient transientdataaccessresource datasource dataaccess dataaccessresourcefailure jpasystem mysql pg"
    " psql sql sqlclient npgsql postgres oracle couchbase cassandra broker sqlrecoverable sqlnontransientconnection"
    " transactionsystem persistence lettuce redissystem mongoserver mongotimeout",
}

# Words inside a type name that nobody listed, most telling first.
_PARTS: tuple[tuple[str, str], ...] = (
    (r"pool(?:exhaust|timeout|empty)|toomanyconn", "pool_exhausted"),
    (r"lock(?:wait)?timeout", "lock_timeout"),
    (r"connect(?:ion)?timeout", "connect_timeout"),
    (r"timeout|timedout|deadline", "timeout"),
    (r"deadlock", "deadlock"),
    (r"optimisticlock|concurrency|conflict", "conflict"),
    (r"circuitbreaker|circuitopen", "circuit_open"),
    (r"ratelimit|throttl|toomany(?:request|call)", "rate_limited"),
    (r"quota", "quota_exceeded"),
    (r"outofmemory|heapspace", "out_of_memory"),
    (r"connectionrefused", "connection_refused"),
    (r"connection(?:reset|closed|lost|aborted)", "connection_reset"),
    (r"certificate|sslhandshake|tls", "tls"),
    (r"outofstock|soldout|insufficient(?:stock|inventory)", "out_of_stock"),
    (r"insufficientfunds|declined|payment", "payment_declined"),
    (r"(?:token|session|credentials?)expired|expired(?:token|session|jwt)", "token_expired"),
    (r"unauthenticated|unauthorized|authentication|badcredential|invalidpassword", "unauthenticated"),
    (r"forbidden|accessdenied|permission|authoriz", "permission_denied"),
    (r"csrf", "attack_blocked"),
    (r"duplicate|alreadyexist|uniqueconstraint", "duplicate"),
    (r"notfound|doesnotexist|nosuch|missingrecord", "not_found"),
    (r"toolarge|toobig|sizeexceeded", "too_large"),
    (r"schema", "schema_mismatch"),
    (r"config|misconfigur", "bad_configuration"),
    (r"checksum|corrupt", "data_loss"),
    (r"serializ|deserializ|pars(?:e|ing)|decod|malformed|json|xml", "malformed_data"),
    (r"validation|constraint|invalid|badrequest", "validation"),
    (r"unavailable|notavailable|unreachable", "dependency_unavailable"),
    (r"notsupported|unsupported|notimplemented", "unsupported"),
    (r"business|domainrule|policy", "business_rule"),
    (r"exporter|exportfail", "export_failed"),
    (r"cancel", "cancelled"),
    (r"panic", "crash"),
)
_TELLING = tuple((re.compile(pattern), name) for pattern, name in _PARTS)

_BY_STEM = {word: name for name, words in _STEMS.items() for word in words.lower().split()}
_WEAK_BY_STEM = {word: name for name, words in _WEAK.items() for word in words.split()}

_SEGMENTS = re.compile(r"[.$/:\\+#]+")
_GENERICS = re.compile(r"[<\[`(].*")


def stem(type_name: str) -> str:
    """Return the last segment of a type's name in lower case, without ``Exception``, ``Error`` and signs.

    Examples
    --------
    >>> stem("java.net.SocketTimeoutException"), stem("requests.exceptions.Timeout"), stem("*net.OpError"), stem("Exception")
    ('sockettimeout', 'timeout', 'op', '')
    """
    segments = [part for part in _SEGMENTS.split(_GENERICS.sub("", type_name[:_MAX_CHARS]).strip(" *&.:")) if part]
    word = re.sub(r"[^a-z0-9]", "", segments[-1].lower()) if segments else ""
    while True:
        shorter = next((word[: -len(end)] for end in ("exception", "error") if word.endswith(end)), None)
        if shorter is None:
            return word
        word = shorter


@lru_cache(maxsize=4096)
def kind_of_type(type_name: str) -> tuple[str, bool]:
    """Return what a type's name says.

    Parameters
    ----------
    type_name : str
        As reported; package, generics and pointer signs do not matter.

    Returns
    -------
    tuple of (str, bool)
        Kind, empty when the name is generic or unknown; and whether it is so specific that the message
        need not be looked at.

    Examples
    --------
    >>> kind_of_type("System.NullReferenceException"), kind_of_type("java.io.IOException"), kind_of_type("RuntimeException")
    (('null_reference', True), ('io_error', False), ('', False))
    """
    full = type_name[:_MAX_CHARS].strip(" *&").lower()
    if full in _FULL:
        return _FULL[full], True
    word = stem(type_name)
    if word in _BY_STEM:
        return _BY_STEM[word], True
    if word in _WEAK_BY_STEM:
        return _WEAK_BY_STEM[word], False
    for pattern, name in _TELLING:
        if pattern.search(word):
            return name, True
    return "", False
